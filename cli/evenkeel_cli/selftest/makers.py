"""Which controls a self-test can try, with what, and why it leaves the others alone.

Every control is in either :data:`MAKERS` or :data:`NOT_MADE`; a test checks it, so that no new control is forgotten.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from botocore.session import get_session

from evenkeel.control import Stage
from evenkeel.model import Call
from evenkeel_cli.selftest import kinds, marks
from evenkeel_cli.selftest.kinds import Target

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import date

    from evenkeel.control import Control
    from evenkeel_cli.selftest.kinds import Calls, Kind, Site

MOST_CENTS, MOST_SECONDS = 5.0, 180
"""What one control's self-test may cost and take at most, without AWS's delay of events."""
_CONFIG_CENTS, _CONFIG_ITEMS = 0.3, 5
"""What AWS Config charges for an item where it records the type, and how many a resource of a self-test makes of it
(AWS Config pricing: $0.003 an item; made, broken, repaired, undone, deleted)."""


@dataclass(frozen=True, slots=True)
class Maker:
    """How a control is tried. ``kinds`` are made in this order; the control judges the last."""

    kinds: tuple[Kind, ...]
    seconds: int
    """About how long its control takes with it, settle time included, without AWS's delay of events."""
    cents: float = 0.0
    """What the resources themselves cost, less than."""
    breaks: Calls = lambda _: ()
    """The calls that make it wrong; none where a new resource is wrong as it comes."""
    near_its_end: bool = False
    """It is a function on a runtime that AWS is about to give up."""

    @property
    def cents_at_most(self) -> float:
        """What a self-test may cost, with AWS Config's items."""
        return self.cents + _CONFIG_CENTS * _CONFIG_ITEMS * len(self.kinds)

    @property
    def what(self) -> str:
        """What it makes, for people."""
        return " with ".join(f"{_article(kind.what)} {kind.what}" for kind in reversed(self.kinds))

    def obstacle(self, parameters: Mapping[str, Any], today: date) -> str:
        """Return why nothing wrong can be made today, or an empty text."""
        if not self.near_its_end:
            return ""
        found = near_its_end(today)
        days = parameters["warn_days"]
        if found and found[1] - timedelta(days=days) <= today:
            return ""
        return f"Lambda takes no new function with a runtime that ends within {days} days"

    def target(self, site: Site, run: str, control: str, today: date) -> Target:
        """Return the first of what a run makes for a control."""
        found = near_its_end(today) if self.near_its_end else None
        return Target(site, run, marks.name(run, control), runtime=found[0] if found else kinds.RUNTIME)

    def calls(self, target: Target) -> Iterator[Call]:
        """Yield all calls that the maker makes, in order, with ``<VPC>`` in place of ids that AWS is yet to give."""
        others: dict[str, str] = {}
        made: list[tuple[Kind, Target]] = []
        for kind in self.kinds:
            known = Target(target.site, target.run, target.name, target.name if kind.named else f"<{kind.what}>",
                           dict(others), target.runtime)  # fmt: skip
            yield from kind.make(known)
            others[kind.what] = known.id
            made.append((kind, known))
        yield from self.breaks(made[-1][1])
        for kind, known in reversed(made):
            yield from kind.remove(known)


def near_its_end(today: date) -> tuple[str, date] | None:
    """Return the runtime that Lambda gives up first, of those with which it still takes new functions, and the day."""
    from evenkeel.control.registry import all_controls  # noqa: PLC0415 - makes the next line's package importable

    all_controls()
    from awslambda.runtimes import RUNTIMES  # noqa: PLC0415 - as above

    taken = [each for each in RUNTIMES.values() if today < each.no_creation]
    first = min(taken, key=lambda each: each.deprecated, default=None)
    return (first.name, first.deprecated) if first else None


ALWAYS = (
    *("cloudformation:DescribeStacks", "appconfig:ListDeployments", "appconfig:GetHostedConfigurationVersion"),
    *("dynamodb:Query", "kms:Decrypt", "lambda:InvokeFunction"),
    *("tag:GetResources", "iam:ListRoles", "iam:ListRoleTags"),
)
"""IAM actions for what is not about one control: stack, settings, records, undo, and what earlier runs left."""


def needed(control: Control) -> list[str]:
    """Return the IAM actions with which a control's resource is made, read as the control does, and removed."""
    # A control of many types reads each with a call of its own, and only a log group is made of them.
    read = [grant for grant in control.permissions if grant.stage is Stage.READ]
    actions = {action for grant in read for action in grant.actions}
    if not control.arn:
        actions &= {"tag:GetResources", "logs:DescribeLogGroups"}
    return sorted({*permissions(MAKERS[control.id]), *actions})


def permissions(maker: Maker | None = None) -> list[str]:
    """Return the IAM actions that a maker's calls need, sorted; without one, those of the alerts' queue."""
    site = kinds.Site("aws", "eu-west-1", "123456789012", "https://queues")
    found: set[str] = set()
    used = maker.kinds if maker else (kinds.QUEUE,)
    for kind in used:
        others = {other.what: other.what for other in used} | {"topic": "topic"}
        target = Target(site, "0" * 12, "name", "id", others)
        for call in (*kind.make(target), *kind.remove(target), *kind.unprotect(target)):
            found.add(_action(call))
        found |= {*kind.permissions}
    if maker:
        found |= {_action(call) for call in maker.breaks(Target(site, "0" * 12, "name", "id"))}
    return sorted(found)


_RENAMED = {"s3:DeletePublicAccessBlock": "s3:PutBucketPublicAccessBlock"}
"""Actions with another name than their call (Service Authorization Reference, S3)."""


def _action(call: Call) -> str:
    model = get_session().get_service_model(call.service)
    names = {name.lower(): name for name in model.operation_names}
    action = f"{call.service}:{names[call.operation.replace('_', '')]}"
    return _RENAMED.get(action, action)


def _article(noun: str) -> str:
    return "an" if noun.startswith(("A", "E", "I", "O", "U", "S3", "SQS")) else "a"


def _open_to_all(target: Target) -> tuple[Call, ...]:
    anywhere = [{"CidrIp": "0.0.0.0/0", "Description": "evenkeel selftest"}]
    rule = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": anywhere}
    return (Call("ec2", "authorize_security_group_ingress", {"GroupId": target.id, "IpPermissions": [rule]}),)


def _lift_block(target: Target) -> tuple[Call, ...]:
    params = {"Bucket": target.name, "ExpectedBucketOwner": target.site.account}
    return (Call("s3", "delete_public_access_block", params),)


_SETTLED = 120  # tags and bucket policies are repaired only after the settle time
MAKERS: dict[str, Maker] = {
    "dynamodb-deletion-protection": Maker((kinds.TABLE,), 60),
    "dynamodb-point-in-time-recovery": Maker((kinds.TABLE,), 60),
    "ec2-security-group-open-ingress": Maker((kinds.VPC, kinds.SECURITY_GROUP), 30, breaks=_open_to_all),
    "kms-key-rotation": Maker((kinds.KEY,), 30, cents=0.2),
    "lambda-deprecated-runtime": Maker((kinds.ROLE, kinds.FUNCTION), 60, near_its_end=True),
    "lambda-xray-tracing": Maker((kinds.ROLE, kinds.FUNCTION), 60),
    "logs-group-encryption": Maker((kinds.LOG_GROUP,), 30),
    "logs-group-retention": Maker((kinds.LOG_GROUP,), 30),
    "s3-bucket-public-access-block": Maker((kinds.BUCKET,), 30, cents=0.1, breaks=_lift_block),
    "s3-tls-only-policy": Maker((kinds.BUCKET,), _SETTLED, cents=0.1),
    "s3-versioning": Maker((kinds.BUCKET,), 30, cents=0.1),
    # Of a log group the event proves who made it, so that there is a value for Owner whatever the settings say.
    "tagging-required-tags": Maker((kinds.LOG_GROUP,), _SETTLED),
}
"""How each control is tried that can be tried harmlessly: for at most five cents and three minutes."""
_SLOW = "a database takes longer than three minutes to make, and more than five cents"
NOT_MADE: dict[str, str] = {
    "cloudtrail-logging": "a further trail records the whole account, at a price that depends on what happens in it",
    "ec2-ebs-default-encryption": "it is a setting of the whole account",
    "rds-deletion-protection": _SLOW,
    "rds-public-access": _SLOW,
}
"""Why the other controls are not tried."""
