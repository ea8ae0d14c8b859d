"""The controls that a self-test can test, the resources it creates for each, and why it skips the others.

Every control is in either :data:`MAKERS` or :data:`NOT_MADE`; a test checks this, so that no new control is forgotten.
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
"""The most that one control's self-test may cost and take, not counting AWS's delay of events."""
_CONFIG_CENTS, _CONFIG_ITEMS = 0.3, 5
"""The price of an AWS Config item, if Config records the type, and the items of one resource of a self-test (AWS Config
pricing: $0.003 an item; created, broken, repaired, undone, deleted)."""


@dataclass(frozen=True, slots=True)
class Maker:
    """How a control is tested. ``kinds`` are created in this order; the control judges the last."""

    kinds: tuple[Kind, ...]
    seconds: int
    """Approximate duration of the test, with the settle time and without AWS's delay of events."""
    cents: float = 0.0
    """Upper bound of what the resources themselves cost."""
    breaks: Calls = lambda _: ()
    """Returns the calls that make it noncompliant; none if a new resource is noncompliant by default."""
    near_its_end: bool = False
    """True for a function on a runtime that AWS is about to deprecate."""

    @property
    def cents_at_most(self) -> float:
        """Return the most that a self-test may cost, with AWS Config's items."""
        return self.cents + _CONFIG_CENTS * _CONFIG_ITEMS * len(self.kinds)

    @property
    def what(self) -> str:
        """Return a description of its resources."""
        return " with ".join(f"{_article(kind.what)} {kind.what}" for kind in reversed(self.kinds))

    def obstacle(self, parameters: Mapping[str, Any], today: date) -> str:
        """Return why no noncompliant resource can be created today; empty if one can."""
        if not self.near_its_end:
            return ""
        found = near_its_end(today)
        days = parameters["warn_days"]
        if found and found[1] - timedelta(days=days) <= today:
            return ""
        return f"Lambda accepts no new functions on a runtime that ends within {days} days"

    def target(self, site: Site, run: str, control: str, today: date) -> Target:
        """Return the first resource that a run creates for a control."""
        found = near_its_end(today) if self.near_its_end else None
        return Target(site, run, marks.name(run, control), runtime=found[0] if found else kinds.RUNTIME)

    def calls(self, target: Target) -> Iterator[Call]:
        """Yield all calls of the test in order, with placeholders such as ``<VPC>`` for ids that AWS will assign."""
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
    """Return the next runtime to be deprecated that Lambda still accepts for new functions, and the day."""
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
"""IAM actions that every test needs: for stack, settings, records, undo, and leftovers of earlier runs."""


def needed(control: Control) -> list[str]:
    """Return the IAM actions to create a control's resource, read it as the control does, and delete it."""
    # A control of many types reads each type by a different call, and the self-test creates only a log group.
    read = [grant for grant in control.permissions if grant.stage is Stage.READ]
    actions = {action for grant in read for action in grant.actions}
    if not control.arn:
        actions &= {"tag:GetResources", "logs:DescribeLogGroups"}
    return sorted({*permissions(MAKERS[control.id]), *actions})


def permissions(maker: Maker | None = None) -> list[str]:
    """Return the IAM actions that a maker's calls need, sorted; without a maker, those for the alerts' queue."""
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
"""Actions that are not named like their call (Service Authorization Reference, S3)."""


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
    # The event of a log group proves its creator, so there is a value for Owner whatever the settings say.
    "tagging-required-tags": Maker((kinds.LOG_GROUP,), _SETTLED),
}
"""How each control is tested that can be tested safely, for at most five cents and three minutes."""
_SLOW = "a database takes more than three minutes to create, and costs more than five cents"
NOT_MADE: dict[str, str] = {
    "cloudtrail-logging": "another trail would record the whole account, at a cost that depends on its activity",
    "ec2-ebs-default-encryption": "it is a setting of the whole account",
    "rds-deletion-protection": _SLOW,
    "rds-public-access": _SLOW,
}
"""Why the other controls are not tested."""
