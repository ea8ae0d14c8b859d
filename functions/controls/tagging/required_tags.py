"""Resources have the tags that say who owns them."""

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
    ParameterProblem,
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
# AWS Batch user guide, "Tag restrictions", the same for every service: these characters, 50 tags, keys of up to 128
# characters and values of up to 256, and no key that begins with "aws:" in any spelling.
_FORBIDDEN = re.compile(r"[^\w .:/=+\-@]")
_LONGEST_KEY, _LONGEST_VALUE, _MOST_TAGS = 128, 256, 50
_ACCEPTED = "letters, digits, spaces or _ . : / = + - @"
_KEYS = f"write 1 to {_LONGEST_KEY} {_ACCEPTED}, not beginning with aws:, which is reserved"
_HTTP_NOT_FOUND = 404
_NOT_FOUND = re.compile(
    r"not (be )?f(ou|i)nd|does not exist|non-?existent|NoSuch", re.IGNORECASE
)  # each service's words
_LISTS = "these actions list resources and cannot be limited to one"
_NARROWER = "supports no resource-level permission; the service's own tag permission, also required, is scoped"


def _all(kind: Taggable) -> str:
    """Return the ARN template of all resources of a type."""
    return kind.arn.replace("{id}", "*")


def _look(kind: Taggable) -> Grant:
    """Return the grant for the call that checks whether a resource exists; if that call lists, it is the only one.

    If AWS does not scope the action, the grant names the resource type besides ``*``.
    """
    if kind.look.scoped:
        return Grant(Stage.READ, (kind.look.action,), on=(_all(kind),))
    return Grant(Stage.READ, (kind.look.action,), on=("*", _all(kind)), why=_LISTS)


class RequiredTags(Control):
    """Resources have the required tags, and no existing tag is ever changed.

    Why: tags show who owns a resource when an alert, a bill or a leak concerns it. Not detected: volumes that are
        created with an instance or by CreateReplaceRootVolumeTask, and the green databases of a blue/green deployment,
        since no event names them; `evenkeel run` finds them. A replica of a secret is skipped, because it gets its
        primary's tags.
    Blast radius: a tag may matter to tag-based permissions; only missing keys are added, and only with known values.
    Cost: none.
    Undo: the added keys are removed again.
    Mode: enforce, since only missing keys are added, and only with values that are known to be correct.
    Runbook: the alert names the missing keys. `aws resourcegroupstaggingapi get-resources --resource-arn-list ARN`
        shows the tags. Ask the principal in the alert for the values and tag the resource, or set a value for its
        account in the settings. Exempt resources that a service or a vendor manages and that you must not tag.
    """

    severity = Severity.LOW
    default_mode = Mode.ENFORCE
    reference = "https://docs.aws.amazon.com/tag-editor/latest/userguide/tagging.html"
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
    blast_radius = Radius(limit=1000)  # it acts on every creation, and a tag can be removed again
    always_settles = True
    gone_codes = frozenset(kind.look.gone for kind in TYPES if kind.look.gone)

    def check_parameters(self, parameters: Mapping[str, Any]) -> ParameterProblem | None:
        """Require keys and values that AWS accepts."""
        keys = parameters["required"]
        for key in keys:
            if not _is_key(key):
                return ParameterProblem("required", f"{key!r} is not a tag key", _KEYS)
        if len(keys) > _MOST_TAGS or len(set(keys)) < len(keys):
            message = f"{len(keys)} keys, {len(set(keys))} of them different"
            return ParameterProblem("required", message, f"write each once, {_MOST_TAGS} at most")
        for key, value in parameters["values"].items():
            if not _is_key(key):
                return ParameterProblem("values", f"{key!r} is not a tag key", _KEYS)
            if not isinstance(value, str) or not value.strip() or value != _clean(value):
                hint = f"write up to {_LONGEST_VALUE} {_ACCEPTED}, not spaces only"
                return ParameterProblem("values", f"{value!r} is not accepted", hint, key)
        return None

    def read(self, aws: Aws, context: Context) -> State:
        """Read the tags; if there are none, check whether the resource exists and can be tagged."""
        arn = context.resource.arn
        tags, kind = read_tags(aws, arn), _kind(arn)
        lacks = any(not tags.get(key) for key in context.parameters["required"])
        if kind and (not tags or (lacks and kind.replicates)):
            return {"Tags": tags, **obstacle(aws, kind, context.resource)}
        return {"Tags": tags}

    def judge(self, state: State, context: Context) -> Judgement:
        """Find required keys that are missing or empty, and add the missing ones whose value is known."""
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
                *(f"{key} is empty; Evenkeel never overwrites a tag: give it a value" for key in empty),
                *(
                    f"{other} is set instead of {key}: rename it, since keys are case-sensitive"
                    for key, other in others.items()
                ),
                *(
                    [f"no value is known for {', '.join(unknown)}: tag the resource, or set a value in the settings"]
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
        """Return nothing, so that the kind alone counts, which names the keys: other tags change from day to day."""

    def discover(self, aws: Aws, place: Place) -> Iterator[str]:
        """List the resources of every type; the tagging API leaves out those that were never tagged."""
        for kind in TYPES:
            for page in _pages(aws, kind.listing, place):
                for value in jmespath.search(kind.listing.path, page) or []:
                    yield resource_arn(kind.arn, value, place)

    def resolve(self, aws: Aws, resource: Resource) -> Resource:
        """Return a secret under its own ARN, if the event has only its name."""
        kind = _kind(resource.arn)
        return own_name(aws, kind, resource) if kind else resource

    def applies_to(self, arn: str) -> bool:
        """Return whether the ARN is of one of the types."""
        return _kind(arn) is not None

    def partial_failure(self, answer: dict[str, Any]) -> ClientError | None:
        """Return the failure that the tagging API reports inside a successful answer, if any."""
        for arn, failure in answer.get("FailedResourcesMap", {}).items():
            message = str(failure.get("ErrorMessage", ""))
            missing = failure.get("StatusCode") == _HTTP_NOT_FOUND or _NOT_FOUND.search(message)
            hidden: Any = {
                "Error": {
                    "Code": "NotFound" if missing else failure.get("ErrorCode", ""),
                    "Message": f"{arn}: {message}",
                },
                "ResponseMetadata": {"HTTPStatusCode": failure.get("StatusCode", 0)},
            }
            return ClientError(hidden, "TagResources")
        return None


def _kind(arn: str) -> Taggable | None:
    """Return the type of an ARN, or None."""
    return next((kind for kind in TYPES if fits(kind.arn, arn)), None)


def _pages(aws: Aws, listing: Listing, place: Place) -> Iterator[dict[str, Any]]:
    """Return the pages of a listing in an account and region."""
    params: dict[str, Any] = {name: value.format(region=place.region) for name, value in listing.params.items()}
    if listing.page:
        params["PaginationConfig"] = {"PageSize": listing.page}
    return aws.pages(listing.service, listing.operation, **params)


def _is_key(key: Any) -> bool:
    """Return whether AWS accepts a tag key from its customers."""
    if not isinstance(key, str) or len(key) > _LONGEST_KEY:
        return False
    return bool(key.strip()) and not _FORBIDDEN.search(key) and not key.lower().startswith("aws:")


def _spelled_otherwise(missing: list[str], tags: Mapping[str, str], required: list[str]) -> dict[str, str]:
    """Return missing keys that exist in another spelling (``owner`` for ``Owner``), each with the existing key.

    Adding a second key that differs only in case would give two answers to one question.
    """
    folded = {key.casefold(): key for key in tags if key not in required}
    return {key: folded[key.casefold()] for key in missing if key.casefold() in folded}


def _values(context: Context, missing: list[str]) -> dict[str, str]:
    """Return the known values of missing keys: those of the settings first, then the creator for the owner."""
    known = {key: value for key, value in context.parameters["values"].items() if key in missing}
    owner = _creator(context)
    if _OWNER in missing and _OWNER not in known and owner:
        known[_OWNER] = owner
    return known


def _creator(context: Context) -> str:
    """Return who created the resource, as a tag value; an empty string if the event does not prove it."""
    kind = _kind(context.resource.arn)
    proved = kind is not None and kind.proves_creator(context.resource.region)
    return _clean(context.actor.owner) if context.creates and proved else ""


def _clean(value: str) -> str:
    """Return a text as a tag value: at most 256 characters, all of which AWS accepts."""
    return _FORBIDDEN.sub("_", value)[:_LONGEST_VALUE]
