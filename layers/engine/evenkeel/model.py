"""The domain's types, all frozen; nothing here uses AWS clients.

A *control* is a desired state, a *finding* is a judgement that a resource departs from it, a *change* has the calls
that restore it and the calls that undo them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeAlias

from evenkeel.outcome import Outcome as Outcome  # noqa: PLC0414, TC001 - re-exported as one of the domain's types

RUN_EVENT = "Run"
"""The event name of a cause that is a person's run over existing resources."""

IDENTITY_CENTER = "IdentityCenter"
"""The kind of an actor whose session IAM Identity Center created; its name is the user's, who cannot choose another."""

State: TypeAlias = dict[str, Any]
"""The state that a control read: a small JSON-able dict, stored in the audit record as evidence."""


class Severity(StrEnum):
    """How much harm the finding can do, on Security Hub's scale."""

    LOW = "LOW"
    MEDIUM = "MEDIUM"
    HIGH = "HIGH"
    CRITICAL = "CRITICAL"


class Mode(StrEnum):
    """What a control may do about a finding."""

    OFF = "off"
    NOTIFY = "notify"
    APPROVE = "approve"
    """Plan the change, announce it, and wait until someone other than the person who caused it approves."""
    ENFORCE = "enforce"


class Step(StrEnum):
    """Whether a record is a plan or an outcome."""

    PLANNED = "PLANNED"
    OUTCOME = "OUTCOME"


@dataclass(frozen=True, slots=True)
class Call:
    """One AWS API call as data, e.g. ``Call("kms", "enable_key_rotation", {"KeyId": "…"})``.

    ``service`` and ``operation`` are boto3's names; ``params`` are JSON-able.
    """

    service: str
    operation: str
    params: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return the call as JSON, as in audit records."""
        return {"service": self.service, "operation": self.operation, "params": self.params}


@dataclass(frozen=True, slots=True)
class Change:
    """The calls that restore the desired state, and the calls that undo them.

    ``residue`` is one sentence about what undo cannot restore; empty if it restores everything.
    """

    calls: tuple[Call, ...]
    undo: tuple[Call, ...]
    residue: str = ""


@dataclass(frozen=True, slots=True)
class Compliant:
    """The resource is as the control wants it."""


@dataclass(frozen=True, slots=True)
class NotApplicable:
    """The control does not apply to this resource; the reason says why."""

    reason: str


@dataclass(frozen=True, slots=True)
class NotReady:
    """The resource cannot be judged or changed yet (being created, updated): it is read again later."""

    reason: str


@dataclass(frozen=True, slots=True)
class NonCompliant:
    """A finding.

    ``change`` is None if only people can fix it. ``caution`` is a reason to announce it even in ``enforce``: the change
    would delete data, interrupt service or cost too much. ``remains`` is what stays wrong after the change. ``kind`` is
    a word for what the control's ``fault`` does not cover: which caution, what remains. It never contains a figure; see
    :mod:`evenkeel.remediation.fingerprint`. ``severity`` overrides the control's.
    """

    reason: str
    change: Change | None = None
    caution: str = ""
    remains: str = ""
    kind: str = ""
    severity: Severity | None = None


Judgement: TypeAlias = Compliant | NotApplicable | NotReady | NonCompliant


@dataclass(frozen=True, slots=True)
class Resource:
    """An AWS resource by its ARN (``arn:partition:service:region:account:…``)."""

    arn: str
    account: str
    region: str

    @property
    def partition(self) -> str:
        """``aws``, ``aws-us-gov`` or ``aws-cn``."""
        return self.arn.split(":", 2)[1]

    @property
    def name(self) -> str:
        """The part of the ARN after the account: ``key/1234…``, ``table/orders``, ``log-group:/app``."""
        return self.arn.split(":", 5)[5]


@dataclass(frozen=True, slots=True)
class Place:
    """The partition, account and region in which a stack may act: its own."""

    account: str
    region: str
    partition: str = "aws"

    @classmethod
    def of_function(cls, arn: str) -> Place:
        """Return the place of a Lambda function, from its ARN."""
        _, partition, _, region, account, _ = arn.split(":", 5)
        return cls(account, region, partition)

    def arn(self, template: str, name: str) -> str:
        """Return the ARN of a resource here, from a template (``arn:{partition}:kms:{region}:{account}:key/{id}``)."""
        return template.format(partition=self.partition, region=self.region, account=self.account, id=name)


@dataclass(frozen=True, slots=True)
class Actor:
    """Who caused the event, according to CloudTrail; every field may be empty."""

    principal: str = ""
    """ARN of the caller."""
    kind: str = ""
    """``userIdentity.type``: Root, IAMUser, AssumedRole, AWSService, …; or :data:`IDENTITY_CENTER`."""
    owner: str = ""
    """The person or role behind the call, inferred in the order of :func:`evenkeel.events.actor.owner`."""
    user_agent: str = ""
    invoked_by: str = ""
    source_ip: str = ""


@dataclass(frozen=True, slots=True)
class Cause:
    """What triggered Evenkeel: an event, or a person's request."""

    origin: str
    """``cloudtrail``, ``config``, ``tag``, ``securityhub``, ``manual``, ``verify`` or ``clerk``."""
    event_id: str = ""
    event_name: str = ""
    event_time: str = ""
    """ISO 8601, UTC."""
    finding_id: str = ""
    """With ``product_arn`` the identifier of the Security Hub finding that was the cause; up to 512 characters."""
    product_arn: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """A request to check one resource with one control."""

    control: str
    resource: Resource
    cause: Cause
    actor: Actor = field(default_factory=Actor)
    creates: bool = False
    """The event created the resource, or gave it this name, so it may not be complete or visible yet."""
    settles: bool = False
    """The event may be one step of several; see :func:`evenkeel.remediation.decide.settle_delay`."""
    weakens: bool = False
    """The event can only have weakened the resource: a finding that was announced before is a new one."""
    dry_run: bool = False
    attempt: int = 0
    """How often it came back from the queue by plan (not by a crash)."""
    first_seen: str = ""
    """ISO 8601 time of the first attempt, if ``attempt`` is above 0."""
    plan: str = ""
    """Record id of the plan that this request is to verify; it changes nothing else."""
    run: str = ""
    """Id of the run that it belongs to; see :mod:`evenkeel.operators.runs`."""
    allowance: int = 0
    """How many resources that run may change in all; 0 for no limit but the blast radius."""
    waited: str = ""
    """How long it waited for its caller to finish, and for whom."""

    def event_time(self, default: datetime) -> datetime:
        """Return when the cause happened, or ``default`` if it has no valid time."""
        try:
            moment = datetime.fromisoformat(self.cause.event_time)
        except ValueError:
            return default
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return moment if moment.year in range(2000, 2200) else default

    def first_time(self, default: datetime) -> datetime:
        """Return when the queue delivered it first, or ``default`` if this is the first time."""
        try:
            return datetime.fromisoformat(self.first_seen)
        except ValueError:
            return default

    def again(self, now: datetime) -> Request:
        """Return the request for its next attempt."""
        return replace(self, attempt=self.attempt + 1, first_seen=self.first_seen or now.isoformat())


@dataclass(frozen=True, slots=True)
class HeldBy:
    """The hold because of which a resource was not changed."""

    kind: str
    """Who or what placed it: a :class:`evenkeel.audit.state_item.HoldKind`."""
    until: datetime
    record: str
    """Id of the record that placed it."""


@dataclass(frozen=True, slots=True)
class Result:
    """The result of one request."""

    request: Request
    outcome: Outcome
    reason: str = ""
    calls: tuple[Call, ...] = ()
    record_id: str = ""
    delay_seconds: int = 0
    """For RETURNED: how long to wait before the next attempt."""
    held_by: HeldBy | None = None
    """The hold that is the reason; for a release, the one that it ended."""
