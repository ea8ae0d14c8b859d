"""The Lambda entry of undo: ``{"resource": ARN, "record": id, "dry_run": true, "force": false, "caller": {…}}``.

A dry run returns the calls that would be made. Otherwise the caller must prove their identity; see
:mod:`evenkeel.operators.caller_proof`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from evenkeel import clock, names
from evenkeel.audit.ledger import Ledger
from evenkeel.cli_lines import cli_line
from evenkeel.control.registry import all_controls
from evenkeel.errors import (
    DENIED_CODES,
    EvenkeelError,
    GroupNotEnabledError,
    MalformedPayloadError,
    UndoRefusedError,
    code,
    refusal,
)
from evenkeel.model import Call, Place
from evenkeel.operators.caller_proof import prove
from evenkeel.remediation.decide import in_scope
from evenkeel.remediation.undo import Undo, Undoer
from evenkeel.runtime.aws import connect, connect_as
from evenkeel.runtime.environment import Environment
from evenkeel.runtime.telemetry import telemetry

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


logger, _ = telemetry()
_KINDS = {"resource": str, "record": str, "dry_run": bool, "force": bool, "caller": dict}


_own = lru_cache(maxsize=1)(lambda region: connect(region)[0])
_as_group = lru_cache(maxsize=64)(connect_as)


def undo(payload: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Serve a person's request.

    Raises:
        EvenkeelError: says what is wrong and what to do; nothing was changed unless it says so.
    """
    request = _checked(payload)
    environment = Environment.read()
    own = _own(environment.region)
    place = Place.of_function(context.invoked_function_arn)
    ledger = Ledger(own, environment.audit_table, environment.state_table, context.aws_request_id, clock.now)
    record = ledger.record(request["resource"], request["record"])
    control = all_controls().get(record["control"]) if record else None
    if record is None or control is None:
        raise UndoRefusedError(f"{request['resource']}: no record {request['record']} of a known control")
    caller = "nobody"
    if not request["dry_run"]:
        endpoint = own.client("sts").meta.endpoint_url
        caller = prove(payload, endpoint, environment.stack, place.account, ledger, clock.now)
    if not in_scope(request["resource"], environment.scope):
        raise UndoRefusedError(f"{request['resource']}: out of the stack's scope, so Evenkeel does not change it")
    role = names.role_arn(place, names.undo_role(environment.stack, place.region, control.group))
    undoer = Undoer(_as_group(place.region, role).fresh(), ledger, caller, environment.retention_days, clock.now)
    try:
        if request["dry_run"]:
            return _answer(undoer.preview(control, request["resource"], request["record"]))
        done = undoer.run(control, request["resource"], request["record"], force=request["force"])
    except ClientError as error:
        if error.operation_name == "AssumeRole" and code(error) in DENIED_CODES:  # also if there is no such role
            raise GroupNotEnabledError(
                f"{request['resource']}: the stack has no role to undo changes of the group {control.group};"
                f" add {control.group} to EnabledGroups and deploy, or undo it by hand"
            ) from error
        raise
    logger.info(done.outcome, control=control.id, resource=request["resource"], caller=caller, record_id=done.record_id)
    return _answer(done)


def _checked(payload: Any) -> dict[str, Any]:
    if not isinstance(payload, dict) or not {"resource", "record"} <= set(payload):
        raise MalformedPayloadError('send {"resource": ARN, "record": id, "dry_run": true}')
    for name, value in payload.items():
        kind = _KINDS.get(name)
        if kind is None or type(value) is not kind or value == "":
            wanted = f"write a {kind.__name__}" if kind else f"known: {', '.join(sorted(_KINDS))}"
            raise MalformedPayloadError(f"{name}: {wanted}")
    return {"dry_run": True, "force": False, **payload}


def _answer(undo: Undo) -> dict[str, Any]:
    record = undo.record
    return {
        "resource": record["resource"],
        "control": record["control"],
        "record": record["record_id"],
        "calls": [cli_line(Call(call.service, call.operation, call.params), record["region"]) for call in undo.calls],
        "residue": record["residue"],
        "drifted": undo.drifted,
        "outcome": undo.outcome or "WOULD_UNDO",
        "record_id": undo.record_id,
    }


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Serve one person's request; errors are returned as answers to the caller."""
    try:
        return undo(event, context)
    except (EvenkeelError, ClientError, BotoCoreError) as error:
        logger.warning("refused", error=str(error), kind=type(error).__name__)
        return refusal(error)
