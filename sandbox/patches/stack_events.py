"""Events of the resources that CloudFormation provisions and of the log groups that Lambda creates.

A stack's calls have the identity of CloudFormation's caller (CloudTrail user guide, "CloudTrail userIdentity element":
``invokedBy``). With ``--quiet-stacks`` the resources of Evenkeel's own stacks emit none: tests of other subjects start
with empty queues, and a deployment takes 3 seconds of CPU less.
"""

from __future__ import annotations

import logging
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sandbox.events import identity, resources, tag_change
from sandbox.events.cloudtrail import Caller, Outcome
from sandbox.events.stack_calls import KINDS, SOURCE, Provisioned
from sandbox.patches.hooks import module, wrap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sandbox.events.stack_calls import MadeCall, Members

    Emit = Callable[[MadeCall, Outcome, Caller, dict[str, Any]], None]

LOG = logging.getLogger("sandbox")
OWN_PATH = "/evenkeel/"
LAMBDA_CLIENT = "awslambda-worker/1.0"
LAMBDA_ADDRESS = "127.0.0.1"

ACTING: ContextVar[Caller | None] = ContextVar("ACTING", default=None)
"""CloudFormation's caller during an operation; tasks and threads of the engine inherit it."""
_own: set[str] = set()
"""Physical ids of the resources without events: a deletion does not name its stack."""


def acting_for(caller: Caller) -> Caller:
    """Return CloudFormation's caller as shown by the calls that CloudFormation makes."""
    session = {"attributes": {"creationDate": identity.started(), "mfaAuthenticated": "false"}}
    shown = {"sessionContext": session} | caller.identity | {"invokedBy": SOURCE}
    return replace(caller, identity=shown, user_agent=SOURCE, source_ip=SOURCE)


def apply(emit: Emit, *, quiet_stacks: bool = False) -> None:
    """Patch the engine's provisioners and Lambda's logging; ``emit`` puts a call's events on the bus.

    With ``quiet_stacks`` there are no events of the resources of Evenkeel's own stacks.
    """
    handlers = module("services.cloudformation.provisioners")._RESOURCE_HANDLERS
    for kind in KINDS:
        handler, announcer = handlers[kind], Announcer(kind, emit, quiet_stacks)
        handler["create"] = announcer.creating(handler["create"])
        if "update" in handler:
            handler["update"] = announcer.updating(handler["update"])
        handler["delete"] = announcer.deleting(handler["delete"])
    wrap(module("services.lambda_svc"), "_emit_lambda_logs", LogGroups(emit))


@dataclass(frozen=True)
class Announcer:
    """The events of one type of resource."""

    type: str
    emit: Emit
    quiet_stacks: bool

    def creating(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Return a wrapped provisioner that creates."""

        def create(logical_id: str, properties: Members, stack: str, *more: Any, **named: Any) -> Any:
            identifier, attributes = original(logical_id, properties, stack, *more, **named)
            if self.quiet_stacks and _is_own(stack):
                _own.add(identifier)
            made = self._provisioned(identifier, attributes, properties)
            self._announce(identifier, made.created(properties), {})
            return identifier, attributes

        return create

    def updating(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Return a wrapped provisioner that updates."""

        def update(identifier: str, old: Members, new: Members, *more: Any, **named: Any) -> Any:
            made = self._provisioned(identifier, {}, new)
            before = tag_change.snapshot(_arns(made))
            updated, attributes = original(identifier, old, new, *more, **named)
            if updated == identifier:
                self._announce(identifier, made.changed(old, new), before)
            return updated, attributes

        return update

    def deleting(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Return a wrapped provisioner that deletes."""

        def delete(identifier: str, properties: Members, *more: Any, **named: Any) -> Any:
            original(identifier, properties, *more, **named)
            self._announce(identifier, [self._provisioned(identifier, {}, properties).deleted()], {})

        return delete

    def _provisioned(self, identifier: str, attributes: Members | None, properties: Members) -> Provisioned:
        named = str(properties["Bucket"]) if self.type == "AWS::S3::BucketPolicy" else identifier
        return Provisioned(self.type, named, module("core.responses").get_region(), attributes or {})

    def _announce(self, identifier: str, calls: Iterable[tuple[MadeCall, Members]], before: dict[str, Any]) -> None:
        caller = ACTING.get()
        if caller is None or identifier in _own:
            return
        for call, members in calls:
            self.emit(call, Outcome(members), caller, before)
            before = tag_change.snapshot(resources.touched(call, caller.account, call.parameters(), members))


def _arns(made: Provisioned) -> list[str]:
    call, members = made.deleted()
    return resources.touched(call, module("core.responses").get_account_id(), call.parameters(), members)


def _is_own(stack: str) -> bool:
    """Return whether a stack is one of Evenkeel's: its template has roles under Evenkeel's own path."""
    found = module("services.cloudformation")._stacks.get(stack) or {}
    parts = (found.get("_template") or {}).get("Resources", {}).values()
    return any(part.get("Properties", {}).get("Path") == OWN_PATH for part in parts if part["Type"] == "AWS::IAM::Role")


@dataclass(frozen=True)
class LogGroups:
    """The creation of the log group at a function's first invocation, with the function's role."""

    emit: Emit

    def __call__(self, original: Callable[..., Any], function: Members, *more: Any, **named: Any) -> None:
        """Write an invocation's log lines, and emit the creation of their log group if it is new."""
        config = function.get("config") or function
        name = (config.get("LoggingConfig") or {}).get("LogGroup") or f"/aws/lambda/{config['FunctionName']}"
        groups = module("services.cloudwatch_logs")._log_groups
        new = name not in groups
        original(function, *more, **named)
        if new and name in groups:
            _, _, _, region, account, *_ = str(config["FunctionArn"]).split(":")
            who = identity.of_function(str(config["Role"]), str(config["FunctionArn"]), account)
            call, _ = next(Provisioned("AWS::Logs::LogGroup", name, region).created({}))
            self.emit(call, Outcome({}), Caller(account, who, LAMBDA_CLIENT, LAMBDA_ADDRESS), {})
