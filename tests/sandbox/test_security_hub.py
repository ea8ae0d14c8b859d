"""From Security Hub's finding to the note on it, on the real stack with IAM enforced."""

from __future__ import annotations

import json
import time
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from tests.contract.registry import MATCHES
from tests.sandbox.cli_stack import CONTROL, eventually
from tests.sandbox.trust_stack import Place, evenkeels_roles, on

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.sandbox.shared import Shared

[EXAMPLE] = [each for each in MATCHES if str(each) == f"{CONTROL}/match-security-hub"]


@pytest.fixture(scope="module")
def place(shared: Shared) -> Iterator[Place]:
    """The real stack, to which CloudTrail tells nothing of keys: only Security Hub does."""
    there = on(shared, {"schema_version": 1, "settle_seconds": 0})
    rule = {"Name": f"{there.stack.name}-kms-ApiCall"}
    there.sandbox.client("events").disable_rule(**rule)
    yield there
    there.sandbox.client("events").enable_rule(**rule)


def _weak_key(place: Place) -> str:
    tags = [{"TagKey": "ManagedBy", "TagValue": "terraform"}]
    return str(place.sandbox.client("kms", place.alice).create_key(Tags=tags)["KeyMetadata"]["Arn"])


def _found(place: Place, arn: str, **fields: Any) -> dict[str, Any]:
    """Let Security Hub find a key, and return the finding as it was."""
    finding = deepcopy(EXAMPLE.event["detail"]["findings"][0])
    finding |= {"Id": f"{finding['Id']}/{arn[-12:]}/{'x' * 300}", "Resources": [{"Type": "AwsKmsKey", "Id": arn}]}
    finding |= fields
    place.sandbox.client("securityhub").batch_import_findings(Findings=[finding])
    return finding


def _now(place: Place, finding: dict[str, Any]) -> dict[str, Any]:
    findings = place.sandbox.client("securityhub").get_findings()["Findings"]
    return next(each for each in findings if each["Id"] == finding["Id"])


def test_finding_ends_with_the_resource_mended_and_a_note_and_still_new(place: Place) -> None:
    """If this fails, what Security Hub finds is not mended, nobody reads so on the finding, or it never ends."""
    arn = _weak_key(place)
    finding = _found(place, arn)
    done = place.awaited(arn, "REMEDIATED")
    assert place.rotates(arn)
    assert (done["cause"]["origin"], done["cause"]["finding_id"]) == ("securityhub", finding["Id"])
    note = eventually(lambda: _now(place, finding).get("Note"), "the note")
    assert note["UpdatedBy"] == "evenkeel"
    assert note["Text"].startswith(f"Evenkeel: REMEDIATED by {CONTROL}: ")
    assert done["record_id"] in note["Text"]
    eventually(
        lambda: [line for line in place.sandbox.logs("evenkeel-kms") if '"COMPLIANT"' in line and arn in line],
        "the look that the note's own event brings",
    )
    assert place.outcomes(arn) == ["REMEDIATED"]
    after = _now(place, finding)
    assert (after["Workflow"], after["Note"]) == ({"Status": "NEW"}, note)
    [alert] = [each for each in place.alerts() if done["record_id"] in each["Body"]]
    assert "The tag ManagedBy=terraform says that a template created it: fix it there, too" in alert["Body"]
    assert place.chain_is_unbroken(arn)


@pytest.mark.parametrize(
    "fields",
    [
        {"Compliance": {"Status": "PASSED", "SecurityControlId": "KMS.4"}},
        {"RecordState": "ARCHIVED"},
        {"Workflow": {"Status": "SUPPRESSED"}},
        {"AwsAccountId": "210987654321"},
    ],
    ids=lambda fields: str(next(iter(fields))),
)
def test_finding_that_is_not_open_changes_nothing(place: Place, fields: dict[str, Any]) -> None:
    """If this fails, a settled or foreign finding has a resource changed."""
    arn = _weak_key(place)
    _found(place, arn, **fields)
    time.sleep(3)
    assert place.records(arn) == []
    assert not place.rotates(arn)


def test_what_a_person_noted_meanwhile_is_kept(place: Place) -> None:
    """If this fails, a person's note on a finding that waited is gone when its change was made."""
    arn = _weak_key(place)
    finding = _found(place, arn)
    place.awaited(arn, "REMEDIATED")
    first = eventually(lambda: _now(place, finding).get("Note"), "the note")
    hub = place.sandbox.client("securityhub")
    name = {"Id": finding["Id"], "ProductArn": finding["ProductArn"]}
    place.sandbox.client("kms", place.alice).disable_key_rotation(KeyId=arn)
    hub.batch_update_findings(FindingIdentifiers=[name], Note={"Text": "ticket 42", "UpdatedBy": "carol"})
    note = eventually(
        lambda: next((n for n in [_now(place, finding)["Note"]] if n["UpdatedBy"] == "evenkeel"), None), "our next note"
    )
    assert note["Text"] != first["Text"]
    assert note["Text"].endswith(" | before: carol: ticket 42")


def test_finding_that_is_gone_loses_no_alert(place: Place) -> None:
    """If this fails, a finding that Security Hub has forgotten blocks the alerts behind it."""
    arn = _weak_key(place)
    event = deepcopy(EXAMPLE.event)
    [finding] = event["detail"]["findings"]
    finding |= {"Id": "forgotten", "Resources": [{"Type": "AwsKmsKey", "Id": arn}]}
    place.sandbox.client("sqs").send_message(QueueUrl=_queue(place), MessageBody=json.dumps(event))
    done = place.awaited(arn, "REMEDIATED")
    eventually(lambda: [each for each in place.alerts() if done["record_id"] in each["Body"]], "the alert")
    eventually(
        lambda: [line for line in place.sandbox.logs("evenkeel-notifier") if '"finding deleted"' in line],
        "the log line",
    )


def _queue(place: Place) -> str:
    urls = place.sandbox.client("sqs").list_queues()["QueueUrls"]
    return str(next(url for url in urls if "kms" in url.lower()))


def test_notifier_may_note_and_nothing_else(place: Place) -> None:
    """If this fails, whoever gets hold of the notifier can settle, or make, every finding of the account."""
    finding = _found(place, _weak_key(place), RecordState="ARCHIVED")
    roles = evenkeels_roles(place)
    [session] = [session for name, session in roles.items() if name.endswith("-notifier")]
    hub = place.sandbox.client("securityhub", session)
    name = {"Id": finding["Id"], "ProductArn": finding["ProductArn"]}
    note = {"Text": "x", "UpdatedBy": "y"}
    for more in ({"Workflow": {"Status": "RESOLVED"}}, {"Severity": {"Label": "LOW"}}, {"Confidence": 1}):
        with pytest.raises(ClientError, match="AccessDenied"):
            hub.batch_update_findings(FindingIdentifiers=[name], Note=note, **more)
    with pytest.raises(ClientError, match="AccessDenied"):
        hub.batch_import_findings(Findings=[finding])
    assert hub.batch_update_findings(FindingIdentifiers=[name], Note=note)["ProcessedFindings"] == [name]
