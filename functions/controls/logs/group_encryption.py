"""CloudWatch log groups are encrypted with a customer managed key."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from evenkeel.control import (
    Aws,
    Call,
    Change,
    CloudTrail,
    Compliant,
    Config,
    Context,
    Control,
    Env,
    Frameworks,
    Grant,
    Judgement,
    Mode,
    NonCompliant,
    NotApplicable,
    ParameterProblem,
    Place,
    Severity,
    Stage,
    State,
)
from logs import group

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_KEY_ARN = re.compile(r"arn:[a-z0-9-]+:kms:[a-z0-9-]+:\d{12}:key/[A-Za-z0-9-]+")


class GroupEncryption(Control):
    """CloudWatch log groups are encrypted with a customer managed key.

    Why: access to the logs then also depends on the key, which can be audited and revoked.
    Blast radius: writers and readers need the key; the stack's own key allows the account's principals to use it
        through CloudWatch Logs. An older group that AWS Config merely reported without a key is announced, since its
        readers are unknown.
    Cost: KMS requests as events are ingested; one key costs one dollar a month and serves all groups of a region.
    Undo: the key is removed again; events written meanwhile stay encrypted, so the key must be kept.
    Mode: enforce, since the stack's key admits everybody in the account who could read and write before.
    Runbook: `aws logs describe-log-groups --log-group-name-prefix NAME` shows the key. If an older group was announced,
        check that its readers in other accounts may use the key, then run `evenkeel run logs-group-encryption
        --resource ARN --apply`. If a writer or reader gets AccessDenied after the change, undo it and extend the key's
        policy. Exempt groups whose readers cannot be given the key.
    """

    severity = Severity.MEDIUM
    default_mode = Mode.ENFORCE
    reference = "https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html"
    announces = True
    resource_type = group.RESOURCE_TYPE
    arn = group.ARN
    frameworks = Frameworks(
        nist_800_53=("AU-9(3)", "CM-6(a)", "SC-8(3)", "SC-8(4)", "SC-13(a)", "SC-28(1)"),
        config_rule="cloudwatch-log-group-encrypted",
    )
    triggers = (
        CloudTrail("logs.amazonaws.com", ("CreateLogGroup",), at="requestParameters.logGroupName", creates=True),
        # A resourceIdentifier is the ARN of a group or of all stored query results (API reference, AssociateKmsKey and
        # DisassociateKmsKey).
        CloudTrail(
            "logs.amazonaws.com",
            ("AssociateKmsKey",),
            at="requestParameters.logGroupName || requestParameters.resourceIdentifier",
            unless="contains(requestParameters.resourceIdentifier, ':query-result:') && 'query results'",
        ),
        CloudTrail(
            "logs.amazonaws.com",
            ("DisassociateKmsKey",),
            at="requestParameters.logGroupName || requestParameters.resourceIdentifier",
            unless="contains(requestParameters.resourceIdentifier, ':query-result:') && 'query results'",
            weakens=True,
        ),
        Config(group.RESOURCE_TYPE),
    )
    permissions = (
        group.READ_GRANT,
        Grant(Stage.APPLY, ("logs:AssociateKmsKey",)),
        Grant(Stage.UNDO, ("logs:DisassociateKmsKey",)),
    )
    parameters = {"key_arn": Env("EVENKEEL_LOG_KEY_ARN")}

    def check_parameters(self, parameters: Mapping[str, Any]) -> ParameterProblem | None:
        """Require the ARN of a key: CloudWatch Logs accepts no alias."""
        arn = parameters["key_arn"]
        if _KEY_ARN.fullmatch(arn):
            return None
        return ParameterProblem("key_arn", f"{arn!r} is not accepted", "write the ARN of a symmetric key (no alias)")

    def read(self, aws: Aws, context: Context) -> State:
        """Read the group."""
        return group.read(aws, context)

    def judge(self, state: State, context: Context) -> Judgement:
        """Find groups without a key; an existing key is never replaced."""
        if state["kmsKeyId"]:
            return Compliant()
        if state["logGroupClass"] == group.DELIVERY:
            return NotApplicable("a group of class DELIVERY only forwards logs")
        key, name = context.parameters["key_arn"], group.name_of(context)
        if key.split(":")[3] != context.resource.region:
            reason = (
                f"no customer managed key encrypts it, and the key in the settings is not in {context.resource.region}"
            )
            return NonCompliant(reason, kind="key elsewhere")
        change = Change(
            calls=(Call("logs", "associate_kms_key", {"logGroupName": name, "kmsKeyId": key}),),
            undo=(Call("logs", "disassociate_kms_key", {"logGroupName": name}),),
            residue="events written meanwhile stay encrypted under the key",
        )
        kind, caution = group.older_and_found(state, context)
        return NonCompliant("no customer managed key encrypts it", change, caution=caution, kind=kind)

    def essence(self, state: State) -> Any:
        """Compare the key."""
        return state["kmsKeyId"]

    def discover(self, aws: Aws, place: Place) -> Iterator[str]:
        """List all groups."""
        return group.discover(aws, place)
