"""Customer managed symmetric KMS keys rotate their key material."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

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
    NotApplicable,
    NotReady,
    ParameterProblem,
    Place,
    Severity,
    Stage,
    State,
    code,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_AT = "resources[?type=='AWS::KMS::Key'].ARN || requestParameters.keyId"
_PASSING = frozenset({"Creating", "Updating", "Unavailable", "PendingImport"})
_ENDING = frozenset({"PendingDeletion", "PendingReplicaDeletion"})
_RESIDUE = "key material that rotated meanwhile is kept"
_SHORTEST, _LONGEST = 90, 2560  # days; KMS API reference, EnableKeyRotation, RotationPeriodInDays


class KeyRotation(Control):
    """Customer managed symmetric KMS keys rotate their key material at least once a year.

    Why: rotation limits how much data one version of the key protects.
    Blast radius: none for callers; key ids and existing ciphertexts stay valid.
    Cost: one dollar a month more after each of the first two rotations.
    Undo: rotation is turned off again, or set back to its former period; key material already rotated is kept.
    Mode: enforce, since nobody notices a rotation and it costs next to nothing.
    Runbook: ask the principal in the alert why they changed rotation; nothing else is needed if it was a mistake. `aws
        kms get-key-rotation-status --key-id KEY` shows whether the key rotates, and how often. Exempt a key only if a
        rule of your own forbids automatic rotation, for example because it is rotated by hand.
    """

    severity = Severity.MEDIUM
    default_mode = Mode.ENFORCE
    reference = "https://docs.aws.amazon.com/kms/latest/developerguide/rotate-keys.html"
    resource_type = "AWS::KMS::Key"
    arn = "arn:{partition}:kms:{region}:{account}:key/{id}"
    frameworks = Frameworks(
        security_hub=("KMS.4",),
        cis_3_0="3.6",
        nist_800_53=("SC-12", "SC-12(2)", "SC-28(3)"),
        config_rule="cmk-backing-key-rotation-enabled",
    )
    triggers = (
        CloudTrail("kms.amazonaws.com", ("CreateKey",), at="responseElements.keyMetadata.arn", creates=True),
        CloudTrail("kms.amazonaws.com", ("DisableKeyRotation",), at=_AT, weakens=True),
        CloudTrail("kms.amazonaws.com", ("EnableKeyRotation", "EnableKey", "UpdatePrimaryRegion"), at=_AT),
        CloudTrail("kms.amazonaws.com", ("CancelKeyDeletion",), at="responseElements.keyId || requestParameters.keyId"),
        Config("AWS::KMS::Key"),
    )
    permissions = (
        Grant(Stage.READ, ("kms:GetKeyRotationStatus", "kms:DescribeKey")),
        Grant(Stage.APPLY, ("kms:EnableKeyRotation",)),
        Grant(Stage.UNDO, ("kms:DisableKeyRotation", "kms:EnableKeyRotation")),
        Grant(Stage.DISCOVER, ("kms:ListKeys",), on=("*",), why="kms:ListKeys supports no resource-level permission"),
    )
    parameters = {"period_days": 365}
    busy_codes = frozenset({"KMSInvalidStateException", "DisabledException"})  # changed since it was read

    def check_parameters(self, parameters: Mapping[str, Any]) -> ParameterProblem | None:
        """Keep the period within what KMS accepts."""
        days = parameters["period_days"]
        if _SHORTEST <= days <= _LONGEST:
            return None
        return ParameterProblem("period_days", f"{days} is not accepted", f"KMS accepts {_SHORTEST} to {_LONGEST}")

    def read(self, aws: Aws, context: Context) -> State:
        """Read the rotation first: if it is on and frequent enough, nothing else is needed."""
        key = _key(context)
        try:
            status = aws("kms", "get_key_rotation_status", KeyId=key)
        except ClientError as error:
            # KMS returns these for keys that cannot rotate, ever or now; DescribeKey says which of the two.
            if code(error) not in {"UnsupportedOperationException", "KMSInvalidStateException", "DisabledException"}:
                raise
            status = {}
        state: State = {
            "KeyId": key,
            "KeyRotationEnabled": status.get("KeyRotationEnabled", False),
            "RotationPeriodInDays": status.get("RotationPeriodInDays"),
        }
        if _often_enough(state, context):
            return state
        described = aws("kms", "describe_key", KeyId=key)["KeyMetadata"]
        multi_region = described.get("MultiRegionConfiguration", {})
        return state | {
            "KeyManager": described["KeyManager"],
            "KeySpec": described["KeySpec"],
            "KeyState": described["KeyState"],
            "Origin": described["Origin"],
            "MultiRegionKeyType": multi_region.get("MultiRegionKeyType"),
            "PrimaryRegion": multi_region.get("PrimaryKey", {}).get("Region"),
        }

    def judge(self, state: State, context: Context) -> Judgement:
        """Find keys that could rotate but do not, or rotate too rarely; a shorter period is never lengthened."""
        if _often_enough(state, context):
            return Compliant()
        exempt = _cannot_rotate(state)
        if exempt:
            return NotApplicable(exempt)
        if state["KeyState"] in _PASSING:
            return NotReady(f"the key is {state['KeyState']}")
        wanted, period, key = context.parameters["period_days"], state["RotationPeriodInDays"], _key(context)
        days = min(wanted, period or wanted)
        enable = Call("kms", "enable_key_rotation", {"KeyId": key, "RotationPeriodInDays": days})
        if not state["KeyRotationEnabled"]:
            undo = Call("kms", "disable_key_rotation", {"KeyId": key})
            return NonCompliant("rotation is off", Change((enable,), (undo,), _RESIDUE))
        undo = Call("kms", "enable_key_rotation", {"KeyId": key, "RotationPeriodInDays": period})
        return NonCompliant(f"rotates every {period} days, not every {wanted}", Change((enable,), (undo,), _RESIDUE))

    def essence(self, state: State) -> Any:
        """Compare whether the key rotates and, if so, how often."""
        enabled = bool(state["KeyRotationEnabled"])
        return [enabled, state["RotationPeriodInDays"] if enabled else None]

    def discover(self, aws: Aws, place: Place) -> Iterator[str]:
        """List all keys."""
        for page in aws.pages("kms", "list_keys"):
            yield from (place.arn(self.arn, key["KeyId"]) for key in page["Keys"])


def _key(context: Context) -> str:
    """Return the key's id, as requested: calls never name the resource of a recorded state."""
    return context.resource.name.removeprefix("key/")


def _often_enough(state: State, context: Context) -> bool:
    wanted = context.parameters["period_days"]
    return bool(state["KeyRotationEnabled"]) and (state["RotationPeriodInDays"] or wanted) <= wanted


def _cannot_rotate(state: State) -> str:  # noqa: PLR0911 - one reason a line
    """Return why a key cannot rotate, or an empty string."""
    if state["KeyManager"] != "CUSTOMER":
        return "AWS rotates its own keys"
    if state["KeySpec"] != "SYMMETRIC_DEFAULT":
        return f"a key of spec {state['KeySpec']} cannot rotate"
    if state["Origin"] != "AWS_KMS":
        return f"key material of origin {state['Origin']} cannot rotate"
    if state["MultiRegionKeyType"] == "REPLICA":
        return f"a replica rotates with its primary key in {state['PrimaryRegion']}"
    if state["KeyState"] in _ENDING:
        return "the key is being deleted"
    if state["KeyState"] == "Disabled":
        return "a disabled key cannot be changed; it is checked again when it is enabled"
    return ""
