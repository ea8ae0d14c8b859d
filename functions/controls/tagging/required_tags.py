"""Resources carry the tags that say whose they are."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import jmespath
from botocore.exceptions import ClientError

from evenkeel.control import (
    TAGGING,
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
    Place,
    Radius,
    Resource,
    Severity,
    Stage,
    State,
    TagChange,
    fits,
    read_tags,
    resource_arn,
)
from tagging.presence import obstacle, own_name
from tagging.types import TYPES, Listing, Taggable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_OWNER = "Owner"
# AWS Batch user guide, "Tag restrictions", and so for every service: these characters, 50 tags, keys to 128 characters
# and values to 256, and "aws:" in any spelling is no key's beginning.
_FORBIDDEN = re.compile(r"[^\w .:/=+\-@]")
_LONGEST_KEY, _LONGEST_VALUE, _MOST_TAGS = 128, 256, 50
_TAKEN = "letters, digits, spaces or _ . : / = + - @"
_KEYS = f"write 1 to {_LONGEST_KEY} {_TAKEN}, beginning with nothing like aws:, which is AWS's own"
_HTTP_NOT_FOUND = 404
_GONE = re.compile(r"not (be )?f(ou|i)nd|does not exist|non-?existent|NoSuch", re.IGNORECASE)  # worded by each service
_LISTS = "these list; there is nothing to name"
_NARROWER = "supports no resource-level permission; the service's own tag permission beside it is scoped"


def _all(kind: Taggable) -> str:
    """Return the ARN template of all resources of a type."""
    return kind.arn.replace("{id}", "*")


def _look(kind: Taggable) -> Grant:
    """Return the grant of the call that tells whether a resource is there; where it lists, too, no other is needed.

    Beside the ``*`` of those that AWS does not scope stands the type that they are asked of.
    """
    if kind.look.scoped:
        return Grant(Stage.READ, (kind.look.action,), on=(_all(kind),))
    return Grant(Stage.READ, (kind.look.action,), on=("*", _all(kind)), why=_LISTS)


class RequiredTags(Control):
    """Resources carry the required tags, and nobody's own tag is ever changed.

    Why: an alert, a bill or a leaked resource can be brought to somebody. Not heard: volumes that are made with
        an instance or by CreateReplaceRootVolumeTask, since no event names them, and green databases of a blue/green
        deployment; `evenkeel run` finds them. A replica of a secret is left alone: it gets its primary's tags.
    Blast radius: a tag may matter to tag-based permissions; only missing keys are added, only with known values.
    Cost: none.
    Undo: the keys that were added are taken off again.
    Mode: enforce, since only missing keys are added, and only with values that are known to be true.
    """

    severity = Severity.LOW
    default_mode = Mode.ENFORCE
    announces = True
    resource_type = "any type in functions/controls/tagging/types.py"
    arn = ""
    frameworks = Frameworks(nist_800_53=("CM-8",), config_rule="required-tags")
    triggers = (
        *(
            CloudTrail(
                f"{kind.service}.amazonaws.com",
                kind.created_by,
                at=kind.at,
                creates=True,
                unless=kind.unless,
                arn=kind.arn,
                lower_case=kind.lower_case,
            )
            for kind in TYPES
        ),
        *(
            CloudTrail(
                f"{kind.service}.amazonaws.com",
                kind.changed_by,
                at=kind.changed_at,
                unless=kind.unless,
                arn=kind.arn,
                settles=True,
            )
            for kind in TYPES
            if kind.changed_by
        ),
        *(TagChange(service) for service in sorted({kind.service for kind in TYPES})),
        *(Config(kind.cfn_type, arn=kind.arn) for kind in TYPES if kind.config),
    )
    permissions = (
        Grant(
            Stage.READ, ("tag:GetResources",), on=("*",), why="tag:GetResources supports no resource-level permission"
        ),
        *(_look(kind) for kind in TYPES),
        Grant(Stage.APPLY, ("tag:TagResources",), on=("*",), why=f"tag:TagResources {_NARROWER}"),
        *(Grant(Stage.APPLY, kind.tag, on=(_all(kind),)) for kind in TYPES),
        Grant(Stage.UNDO, ("tag:UntagResources",), on=("*",), why=f"tag:UntagResources {_NARROWER}"),
        *(Grant(Stage.UNDO, kind.untag, on=(_all(kind),)) for kind in TYPES),
        *(
            Grant(Stage.DISCOVER, (kind.listing.action,), on=("*",), why=_LISTS)
            for kind in TYPES
            if kind.listing.action != kind.look.action
        ),
    )
    parameters = {"required": [_OWNER, "Environment", "Project", "CostCenter"], "values": {}}
    blast_radius = Radius(limit=1000)  # it takes part in every creation, and a tag can be taken off again
    always_settles = True
    gone_codes = frozenset(kind.look.gone for kind in TYPES if kind.look.gone)

    def check_parameters(self, parameters: Mapping[str, Any]) -> str:
        """Require keys and values that AWS takes."""
        keys = parameters["required"]
        for key in keys:
            if not _is_key(key):
                return f"required: {key!r} is no tag key; {_KEYS}"
        if len(keys) > _MOST_TAGS or len(set(keys)) < len(keys):
            return f"required: {len(keys)} keys, {len(set(keys))} different; write each once, {_MOST_TAGS} at most"
        for key, value in parameters["values"].items():
            if not _is_key(key):
                return f"values: {key!r} is no tag key; {_KEYS}"
            if not isinstance(value, str) or not value.strip() or value != _clean(value):
                return f"values.{key}: {value!r}; write up to {_LONGEST_VALUE} {_TAKEN}, not spaces only"
        return ""

    def read(self, aws: Aws, context: Context) -> State:
        """Read the tags; where there are none, look whether the resource is there and takes any."""
        arn = context.resource.arn
        tags, kind = read_tags(aws, arn), _kind(arn)
        lacks = any(not tags.get(key) for key in context.parameters["required"])
        if kind and (not tags or (lacks and kind.replicates)):
            return {"Tags": tags, **obstacle(aws, kind, context.resource)}
        return {"Tags": tags}

    def judge(self, state: State, context: Context) -> Judgement:
        """Find required keys that are missing or empty; add those whose value is known."""
        if state.get("Spared"):
            return NotApplicable(state["Spared"])
        tags, required = state["Tags"], context.parameters["required"]
        missing = [key for key in required if key not in tags]
        empty = [key for key in required if key in tags and not tags[key]]
        if not missing and not empty:
            return Compliant()
        if state.get("Busy"):
            return NotReady(state["Busy"])
        others = _spelled_otherwise(missing, tags, required)
        known = _values(context, [key for key in missing if key not in others])
        unknown = [key for key in missing if key not in known and key not in others]
        remains = "; ".join(
            (
                *(f"{key} is empty; Evenkeel never overwrites: give it a value" for key in empty),
                *(
                    f"{other} is there instead of {key}: rename it, keys are case-sensitive"
                    for key, other in others.items()
                ),
                *(
                    [f"no value is known for {', '.join(unknown)}: tag it, or give the settings a value"]
                    if unknown
                    else []
                ),
            )
        )
        lacks = [f"lacks {', '.join(missing)}"] if missing else []
        reason = "; ".join((*lacks, *(f"{key} is empty" for key in empty)))
        kind = "; ".join((reason, *others.values()))
        if not known:
            return NonCompliant(reason, remains=remains, kind=kind)
        arns = [context.resource.arn]
        change = Change(
            calls=(Call(TAGGING, "tag_resources", {"ResourceARNList": arns, "Tags": known}),),
            undo=(Call(TAGGING, "untag_resources", {"ResourceARNList": arns, "TagKeys": sorted(known)}),),
        )
        return NonCompliant(reason, change, remains=remains, kind=kind)

    def fault(self, state: State) -> Any:
        """Leave it to the finding's kind, which names the keys: tags that are not required change from day to day."""

    def discover(self, aws: Aws, place: Place) -> Iterator[str]:
        """List the resources of every type; the tagging API would leave out those that were never tagged."""
        for kind in TYPES:
            for page in _pages(aws, kind.listing, place):
                for value in jmespath.search(kind.listing.path, page) or []:
                    yield resource_arn(kind.arn, value, place)

    def resolve(self, aws: Aws, resource: Resource) -> Resource:
        """Return a secret by its ARN, where the event has its name."""
        kind = _kind(resource.arn)
        return own_name(aws, kind, resource) if kind else resource

    def applies_to(self, arn: str) -> bool:
        """Say whether one of the types has this ARN."""
        return _kind(arn) is not None

    def partial_failure(self, answer: dict[str, Any]) -> ClientError | None:
        """Return the failure that the tagging API hides inside a success."""
        for arn, failure in answer.get("FailedResourcesMap", {}).items():
            told = str(failure.get("ErrorMessage", ""))
            gone = failure.get("StatusCode") == _HTTP_NOT_FOUND or _GONE.search(told)
            hidden: Any = {
                "Error": {
                    "Code": "NotFound" if gone else failure.get("ErrorCode", ""),
                    "Message": f"{arn}: {failure.get('ErrorMessage', '')}",
                },
                "ResponseMetadata": {"HTTPStatusCode": failure.get("StatusCode", 0)},
            }
            return ClientError(hidden, "TagResources")
        return None


def _kind(arn: str) -> Taggable | None:
    """Return the type that has this ARN."""
    return next((kind for kind in TYPES if fits(kind.arn, arn)), None)


def _pages(aws: Aws, listing: Listing, place: Place) -> Iterator[dict[str, Any]]:
    """Return the pages of a listing of a place."""
    params: dict[str, Any] = {name: value.format(region=place.region) for name, value in listing.params.items()}
    if listing.page:
        params["PaginationConfig"] = {"PageSize": listing.page}
    return aws.pages(listing.service, listing.operation, **params)


def _is_key(key: Any) -> bool:
    """Say whether AWS takes a tag's key from anybody but itself."""
    if not isinstance(key, str) or len(key) > _LONGEST_KEY:
        return False
    return bool(key.strip()) and not _FORBIDDEN.search(key) and not key.lower().startswith("aws:")


def _spelled_otherwise(missing: list[str], tags: Mapping[str, str], required: list[str]) -> dict[str, str]:
    """Return missing keys that are there in other letters (``owner`` for ``Owner``), each with the key that is there.

    A second key that differs in case only would be two answers to one question.
    """
    folded = {key.casefold(): key for key in tags if key not in required}
    return {key: folded[key.casefold()] for key in missing if key.casefold() in folded}


def _values(context: Context, missing: list[str]) -> dict[str, str]:
    """Return the values that are known for missing keys: the settings' first, then who made it for the owner."""
    known = {key: value for key, value in context.parameters["values"].items() if key in missing}
    owner = _maker(context)
    if _OWNER in missing and _OWNER not in known and owner:
        known[_OWNER] = owner
    return known


def _maker(context: Context) -> str:
    """Return who made the resource as a tag's value; nothing where the event does not prove it."""
    kind = _kind(context.resource.arn)
    proved = kind is not None and kind.proves_maker(context.resource.region)
    return _clean(context.actor.owner) if context.creates and proved else ""


def _clean(value: str) -> str:
    """Return a text as a tag's value: only characters that AWS takes, at most 256."""
    return _FORBIDDEN.sub("_", value)[:_LONGEST_VALUE]
