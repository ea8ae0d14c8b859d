"""What the account's EBS setting means; it is one answer, whatever else the account has."""

from __future__ import annotations

from evenkeel.model import Call
from tests.cases.case import Case
from tests.world import ACCOUNT

ON, OFF = {"EbsEncryptionByDefault": True}, {"EbsEncryptionByDefault": False}
SWITCH_ON = (Call("ec2", "enable_ebs_encryption_by_default"),)
SWITCH_OFF = (Call("ec2", "disable_ebs_encryption_by_default"),)
ELSEWHERE = f"arn:aws-us-gov:ec2:us-gov-west-1:{ACCOUNT}:ebs-encryption-by-default"

CASES = (
    Case("a setting that is on is enough", ON, "Compliant"),
    Case("who looks does not matter where it is on", ON, "Compliant", owner="mallory"),
    Case("a creation does not matter where it is on", ON, "Compliant", creates=True),
    Case("on is on in every partition", ON, "Compliant", arn=ELSEWHERE),
    Case("the key is the account's choice where it is on", {**ON, "KmsKeyId": "alias/theirs"}, "Compliant"),
    Case("off is switched on", OFF, "NonCompliant", "not encrypted by default", SWITCH_ON, SWITCH_OFF, residue=True),
    Case("who switched it off does not matter", OFF, "NonCompliant", "not encrypted", SWITCH_ON, SWITCH_OFF,
         residue=True, owner="alice"),
    Case("a creation does not matter", OFF, "NonCompliant", "not encrypted", SWITCH_ON, SWITCH_OFF, residue=True,
         creates=True),
    Case("the calls name no account or region: they are those of the door", OFF, "NonCompliant", "not encrypted",
         SWITCH_ON, SWITCH_OFF, residue=True, arn=ELSEWHERE),
    Case("the default key is never changed", {**OFF, "KmsKeyId": "alias/theirs"}, "NonCompliant", "not encrypted",
         SWITCH_ON, SWITCH_OFF, residue=True),
)  # fmt: skip
