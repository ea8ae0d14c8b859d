"""The Resource Groups Tagging API: more services, pages, limits, and each service's own permission to tag.

Source: the API reference of GetResources and TagResources: 20 ARNs a call, up to 100 resources a page, and "you must
have the permissions that the services themselves require to tag".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from sandbox.events import tag_store
from sandbox.patches.hooks import Answer, body_of, error, module, ok, succeeded, wrap

MOST_ARNS, MOST_LOOKUPS, LARGEST_PAGE = 20, 100, 100

_BUCKET = ("s3:GetBucketTagging", "s3:PutBucketTagging")
TAG = {service: (f"{service}:TagResource",) for service in tag_store.READERS} | {
    "ec2": ("ec2:CreateTags",), "rds": ("rds:AddTagsToResource",), "s3": _BUCKET, "sqs": ("sqs:TagQueue",),
}  # fmt: skip
UNTAG = {service: (f"{service}:UntagResource",) for service in tag_store.READERS} | {
    "ec2": ("ec2:DeleteTags",), "rds": ("rds:RemoveTagsFromResource",), "s3": _BUCKET, "sqs": ("sqs:UntagQueue",),
}  # fmt: skip
"""The permissions of each service that tagging needs in addition to the Tagging API's own."""

LACKING = ("ec2", "rds", "secretsmanager", "states")
"""Services that the engine's Tagging API lacks, although the engine stores their tags."""

UNTYPED = frozenset({"s3", "sqs", "sns"})
Handler = Callable[[dict[str, Any]], Answer]
_caller_key = ""


def apply() -> None:
    """Patch the engine's Resource Groups Tagging API."""
    tagging = module("services.tagging")
    tagging._COLLECTORS["logs"] = tagging._RESOURCE_TAG_COLLECTORS["logs"] = _log_groups
    tagging._RESOURCE_TAG_COLLECTORS["s3"] = tagging._collect_s3
    tagging._WRITERS["logs"] = _write_log_group
    tagging._REMOVERS["logs"] = _remove_log_group
    for service in LACKING:
        tagging._COLLECTORS[service] = tagging._RESOURCE_TAG_COLLECTORS[service] = _collector(service)
        tagging._WRITERS[service] = _write_list
        tagging._REMOVERS[service] = _remove_list
    wrap(tagging, "_matches_type_filters", _of_type)
    wrap(tagging, "handle_request", _remember_caller)
    for name, wrapper in (("GetResources", _get), ("TagResources", _tag), ("UntagResources", _untag)):
        original = tagging._HANDLERS[name]
        tagging._HANDLERS[name] = lambda data, wrapper=wrapper, original=original: wrapper(original, data)


async def _remember_caller(original: Callable[..., Any], *given: Any) -> Any:
    """Store the caller's key for the handler, which runs without awaiting anything."""
    global _caller_key  # noqa: PLW0603 - the engine passes handlers nothing but the request's data
    _, _, headers, _, query = given
    _caller_key = module("core.router").extract_access_key_id(headers, query)
    return await original(*given)


def _of_type(_: Callable[..., Any], arn: str, filters: list[str]) -> bool:
    """Return whether filters (``service`` or ``service:type``) match; the engine takes ``log-group:/a`` for a type."""
    service, resource = arn.split(":", 5)[2], arn.split(":", 5)[5]
    kind = tag_store.SEPARATOR.split(resource, maxsplit=1)[0]
    return not filters or any(each in (service, f"{service}:{kind}") for each in filters) or _untyped(service, filters)


def _untyped(service: str, filters: list[str]) -> bool:
    """Return whether filters match a bucket, queue or topic, whose ARN has no type."""
    return any(each == f"{service}:{tag_store.RESOURCE_TYPES.get(service)}" for each in filters if service in UNTYPED)


def _group(arn: str) -> dict[str, Any] | None:
    found: dict[str, Any] | None = module("services.cloudwatch_logs")._log_groups.get(
        arn.rsplit(":log-group:", maxsplit=1)[-1]
    )
    return found


def _log_groups() -> Iterator[tuple[str, list[dict[str, str]]]]:
    store = module("services.cloudwatch_logs")
    for name, group in store._log_groups.items():
        pairs = (group.get("tags") or {}).items()
        yield store._make_group_arn_no_star(name), [{"Key": key, "Value": value} for key, value in pairs]


def _write_log_group(_spec: object, arn: str, added: dict[str, str]) -> None:
    group = _group(arn)
    if group is None:
        raise module("services.tagging")._ResourceNotFound(arn)
    group["tags"] = {**(group.get("tags") or {}), **added}


def _remove_log_group(_spec: object, arn: str, keys: list[str]) -> None:
    group = _group(arn)
    if group is None:
        raise module("services.tagging")._ResourceNotFound(arn)
    group["tags"] = {key: value for key, value in (group.get("tags") or {}).items() if key not in keys}


def _collector(service: str) -> Callable[[], Iterator[tuple[str, list[dict[str, str]]]]]:
    def collect() -> Iterator[tuple[str, list[dict[str, str]]]]:
        responses = module("core.responses")
        for arn in tag_store.arns_of(service, f"{responses.get_region()}:{responses.get_account_id()}"):
            yield arn, [{"Key": key, "Value": value} for key, value in (tag_store.read(arn) or {}).items()]

    return collect


def _write_list(_spec: object, arn: str, added: dict[str, str]) -> None:
    tag_store.write(arn, _existing(arn) | added)


def _remove_list(_spec: object, arn: str, keys: list[str]) -> None:
    tag_store.write(arn, {key: value for key, value in _existing(arn).items() if key not in keys})


def _existing(arn: str) -> dict[str, str]:
    found = tag_store.read(arn)
    if found is None:
        raise module("services.tagging")._ResourceNotFound(arn)
    return found


def _get(original: Handler, data: dict[str, Any]) -> Answer:
    """Answer GetResources in pages, without resources that were never tagged."""
    arns = data.get("ResourceARNList", [])
    if len(arns) > MOST_LOOKUPS:
        return error("InvalidParameterException", f"ResourceARNList has {len(arns)} entries; at most {MOST_LOOKUPS}")
    paging = ("PaginationToken", "ResourcesPerPage")
    answer = original({key: value for key, value in data.items() if key not in paging})
    if not succeeded(answer):
        return answer
    found = [each for each in body_of(answer)["ResourceTagMappingList"] if each["Tags"] or _once_tagged(each)]
    found.sort(key=lambda each: str(each["ResourceARN"]))
    size = min(int(data.get("ResourcesPerPage", LARGEST_PAGE)), LARGEST_PAGE)
    start = int(data.get("PaginationToken") or 0)
    page, following = found[start : start + size], start + size
    token = str(following) if following < len(found) and not arns else ""
    return ok({"ResourceTagMappingList": page if not arns else found, "PaginationToken": token})


_tagged_once: set[str] = set()


def _once_tagged(entry: dict[str, Any]) -> bool:
    """Return whether a resource without tags once had some: AWS still lists it."""
    return str(entry["ResourceARN"]) in _tagged_once


def _tag(original: Handler, data: dict[str, Any]) -> Answer:
    return _change(original, data, TAG)


def _untag(original: Handler, data: dict[str, Any]) -> Answer:
    return _change(original, data, UNTAG)


def _change(original: Handler, data: dict[str, Any], permissions: dict[str, tuple[str, ...]]) -> Answer:
    arns = data.get("ResourceARNList", [])
    if not 0 < len(arns) <= MOST_ARNS:
        return error(
            "InvalidParameterException", f"ResourceARNList has {len(arns)} entries; 1 to {MOST_ARNS} are allowed"
        )
    refused = {arn: refusal for arn in arns if (refusal := _refusal(arn, permissions))}
    _tagged_once.update(arn for arn in arns if arn not in refused and tag_store.read(arn) is not None)
    allowed = [arn for arn in arns if arn not in refused]
    answer = original({**data, "ResourceARNList": allowed}) if allowed else ok({"FailedResourcesMap": {}})
    if not succeeded(answer):
        return answer
    return ok({"FailedResourcesMap": body_of(answer)["FailedResourcesMap"] | refused})


def _refusal(arn: str, permissions: dict[str, tuple[str, ...]]) -> dict[str, Any] | None:
    """Return FailedResourcesMap's entry for a resource that the caller may not tag; None if they may."""
    parts = arn.split(":", 5)
    service = parts[2] if len(parts) == tag_store.ARN_PARTS else ""
    if service not in permissions or tag_store.read(arn) is None:
        return None
    region = parts[3] or module("core.responses").get_region()
    for action in permissions[service]:
        denied = module("core.iam_evaluator").enforce(_caller_key, action, service, region, resource_arn=arn)
        if denied is not None:
            message = f"User: {denied.principal_arn} is not authorized to perform: {action} on resource: {arn}"
            return {"StatusCode": 403, "ErrorCode": "AccessDeniedException", "ErrorMessage": message}
    return None
