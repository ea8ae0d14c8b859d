"""New EBS volumes are encrypted, whoever creates them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evenkeel.control import (
    Aws,
    Call,
    Change,
    CloudTrail,
    Compliant,
    Config,
    Context,
    Control,
    Frameworks,
    Grant,
    Judgement,
    Mode,
    NonCompliant,
    Place,
    Severity,
    Stage,
    State,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

_ENABLED = "EbsEncryptionByDefault"
_ON = Call("ec2", "enable_ebs_encryption_by_default")
_OFF = Call("ec2", "disable_ebs_encryption_by_default")
_NOTHING_TO_NAME = "the setting belongs to the account and region; its actions support no resource-level permission"


class EbsDefaultEncryption(Control):
    """New EBS volumes are encrypted by default in the account and region.

    Why: volumes that nobody thought about are encrypted as well, and their snapshots cannot be made public.
    Blast radius: existing volumes do not change. Instance types that do not support encryption no longer launch, new
        images under the key aws/ebs cannot be shared with other accounts, and a customer managed default key must allow
        its use by everything that launches instances (Auto Scaling, Spot).
    Cost: none for the setting; KMS requests whenever an encrypted volume is attached.
    Undo: the setting is turned off again; volumes and snapshots created meanwhile stay encrypted.
    Mode: notify, since a launch may fail.
    Runbook: `aws ec2 get-ebs-encryption-by-default` shows the setting. Before you turn it on with the command in the
        alert, check that no launch needs an instance type without encryption, and that no shared image relies on the
        key aws/ebs. Exempt the account and region only until those workloads have moved.
    """

    severity = Severity.MEDIUM
    default_mode = Mode.NOTIFY
    reference = "https://docs.aws.amazon.com/ebs/latest/userguide/encryption-by-default.html"
    resource_type = "AWS::::Account"
    # AWS gives the setting no ARN, and there is one per account and region: this form is Evenkeel's own.
    arn = "arn:{partition}:ec2:{region}:{account}:ebs-encryption-by-default"
    frameworks = Frameworks(
        security_hub=("EC2.7",),
        cis_3_0="2.2.1",
        nist_800_53=("CA-9(1)", "CM-3(6)", "SC-13", "SC-28", "SC-28(1)", "SC-7(10)", "SI-7(6)"),
        config_rule="ec2-ebs-encryption-by-default",
    )
    triggers = (
        CloudTrail("ec2.amazonaws.com", ("DisableEbsEncryptionByDefault",), at="recipientAccountId", weakens=True),
        Config("AWS::::Account"),
    )
    permissions = (
        Grant(Stage.READ, ("ec2:GetEbsEncryptionByDefault",), on=("*",), why=_NOTHING_TO_NAME),
        Grant(Stage.APPLY, ("ec2:EnableEbsEncryptionByDefault",), on=("*",), why=_NOTHING_TO_NAME),
        Grant(Stage.UNDO, ("ec2:DisableEbsEncryptionByDefault",), on=("*",), why=_NOTHING_TO_NAME),
    )

    def read(self, aws: Aws, context: Context) -> State:  # noqa: ARG002 - there is only one
        """Read the setting."""
        return {_ENABLED: aws("ec2", "get_ebs_encryption_by_default")[_ENABLED]}

    def judge(self, state: State, context: Context) -> Judgement:  # noqa: ARG002 - as above
        """Find the setting turned off; the default key is the account's own choice and is not checked."""
        if state[_ENABLED]:
            return Compliant()
        change = Change((_ON,), (_OFF,), "volumes and snapshots created meanwhile stay encrypted")
        return NonCompliant("new EBS volumes are not encrypted by default", change)

    def discover(self, aws: Aws, place: Place) -> Iterator[str]:  # noqa: ARG002 - nothing to list
        """Yield the one setting."""
        yield place.arn(self.arn, "")
