"""ARN templates, such as ``arn:{partition}:kms:{region}:{account}:key/{id}``: matching them and filling them in."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evenkeel.model import Place

_ARN = re.compile(r"arn:[a-z0-9-]+:[a-z0-9-]+:[a-z0-9-]*:(\d{12})?:[A-Za-z0-9_.\-/:#+=,@$]{1,1024}")
_ID = re.compile(r"[A-Za-z0-9_.\-/:#+=,@$]{1,1024}")
_QUALIFIED = re.compile(r"(arn:[^:]+:lambda:[^:]+:[^:]+:function:[^:]+):[^:]+")


def fits(template: str, arn: str) -> bool:
    """Return whether an ARN matches a template: same service, and the same text before the id (or the same name).

    The match is exact, so each resource has one ARN here, and an exemption for it cannot be missed. Region and account
    are present where the template has them. An id never holds a colon: Lambda and DynamoDB also accept parts of an
    ARN, a whole ARN or a qualifier in place of a name, and those are not ids.
    """
    wanted, given = template.split(":", 5), arn.split(":", 5)
    if len(given) < len(wanted) or given[0] != "arn" or wanted[2] != given[2]:
        return False
    if [bool(part) for part in wanted[3:5]] != [bool(part) for part in given[3:5]]:
        return False
    prefix, an_id, _ = wanted[5].partition("{id}")
    if not an_id:
        return given[5] == prefix
    return given[5].startswith(prefix) and len(given[5]) > len(prefix) and ":" not in given[5][len(prefix) :]


def resource_arn(template: str, value: str, place: Place) -> str:
    """Return the ARN that an event's value (ARN, id, name or URL) stands for, or an empty string if it is malformed.

    A URL (SQS) ends in account and name; a URL of another account yields nothing. CloudWatch Logs' ARNs may end in
    ``:*`` and Lambda's in a version or alias: neither is part of the resource's own ARN.
    """
    value = _QUALIFIED.sub(r"\1", value.removesuffix(":*"))
    if value.startswith("arn:"):
        of_type = (not template or fits(template, value)) and value.split(":")[1] == place.partition
        return value if of_type and _ARN.fullmatch(value) else ""
    if "://" in value:
        owner, _, value = value.rpartition("/")
        if not owner.endswith(f"/{place.account}"):
            return ""
    if not template or not _ID.fullmatch(value):
        return ""
    arn = place.arn(template, value)
    return arn if _ARN.fullmatch(arn) else ""
