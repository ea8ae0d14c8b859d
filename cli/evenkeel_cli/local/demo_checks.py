"""The demo's own reads of the repaired resources, independent of the audit and of Evenkeel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from evenkeel_cli.local.demo_world import World

REQUIRED = ("Owner", "Environment", "Project", "CostCenter")


def rotates(world: World, arn: str) -> str:
    """Return what is wrong with a key's rotation; empty when it rotates at least once a year."""
    status = world("kms").get_key_rotation_status(KeyId=arn)
    if not status["KeyRotationEnabled"]:
        return "rotation is off"
    days = status.get("RotationPeriodInDays", 365)
    return "" if days <= 365 else f"it rotates only every {days} days"  # noqa: PLR2004 - a year


def does_not_rotate(world: World, arn: str) -> str:
    """Return that a key that cannot rotate was changed; empty if it was not."""
    client = world("kms")
    try:
        status = client.get_key_rotation_status(KeyId=arn)
    except client.exceptions.UnsupportedOperationException:
        return ""  # KMS's answer for a key that cannot rotate
    return "somebody made it rotate" if status["KeyRotationEnabled"] else ""


def recoverable(world: World, arn: str) -> str:
    """Return what is wrong with a table's recovery; empty when it has point-in-time recovery."""
    name = arn.rpartition("/")[2]
    described = world("dynamodb").describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
    status = described["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"]
    return "" if status == "ENABLED" else f"point-in-time recovery is {status}"


def encrypted(world: World, arn: str) -> str:
    """Return what is wrong with a log group's key; empty when it is the stack's."""
    key = _group(world, arn).get("kmsKeyId")
    wanted = world.outputs["LogKeyArn"]
    return "" if key == wanted else f"its key is {key or 'none'}, not {wanted}"


def retained(world: World, arn: str) -> str:
    """Return what is wrong with a log group's retention; empty when it is a year."""
    days = _group(world, arn).get("retentionInDays")
    return "" if days == 365 else f"it keeps events for {days or 'ever, not 365'} days"  # noqa: PLR2004 - a year


def logs(world: World, arn: str) -> str:
    """Return that a trail is stopped; empty if it logs."""
    return "" if world("cloudtrail").get_trail_status(Name=arn)["IsLogging"] else "it does not log"


def blocked(world: World, arn: str) -> str:
    """Return which parts of a bucket's public access block are off; empty if all four are on."""
    client = world("s3")
    try:
        found = client.get_public_access_block(Bucket=arn.rpartition(":")[2])["PublicAccessBlockConfiguration"]
    except client.exceptions.ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchPublicAccessBlockConfiguration":
            raise
        return "public access is not blocked"
    off = sorted(name for name, on in found.items() if not on)
    return f"{', '.join(off)} off" if off else ""


def _group(world: World, arn: str) -> dict[str, Any]:
    name = arn.partition(":log-group:")[2]
    groups: list[dict[str, Any]] = world("logs").describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    return next((group for group in groups if group["logGroupName"] == name), {})


def tagged(owner: str, **given: str) -> Callable[[World, str], str]:
    """Return a check of the required tags: Owner is ``owner``, others are as in the settings, or as ``given``."""
    wanted = {"Owner": owner, **given}

    def check(world: World, arn: str) -> str:
        found = tags(world, arn)
        expected = {**world.tag_values, **wanted}
        wrong = [f"{key} is {found.get(key, 'missing')}" for key in REQUIRED if found.get(key) != expected[key]]
        return f"tags: {', '.join(wrong)}" if wrong else ""

    return check


def tags(world: World, arn: str) -> dict[str, str]:
    """Return a resource's tags as its own service has them, not the API that Evenkeel uses."""
    return _TAGS[arn.split(":")[2]](world, arn)


def _pairs(found: list[Mapping[str, str]], key: str = "Key", value: str = "Value") -> dict[str, str]:
    return {tag[key]: tag[value] for tag in found}


def _kms(world: World, arn: str) -> dict[str, str]:
    return _pairs(world("kms").list_resource_tags(KeyId=arn)["Tags"], "TagKey", "TagValue")


def _dynamodb(world: World, arn: str) -> dict[str, str]:
    return _pairs(world("dynamodb").list_tags_of_resource(ResourceArn=arn)["Tags"])


def _logs(world: World, arn: str) -> dict[str, str]:
    return dict(world("logs").list_tags_for_resource(resourceArn=arn)["tags"])


def _s3(world: World, arn: str) -> dict[str, str]:
    client = world("s3")
    try:
        return _pairs(client.get_bucket_tagging(Bucket=arn.rpartition(":")[2])["TagSet"])
    except client.exceptions.ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchTagSet":
            raise
        return {}


def _sqs(world: World, arn: str) -> dict[str, str]:
    client = world("sqs")
    url = client.get_queue_url(QueueName=arn.rpartition(":")[2])["QueueUrl"]
    return dict(client.list_queue_tags(QueueUrl=url).get("Tags", {}))


def _sns(world: World, arn: str) -> dict[str, str]:
    return _pairs(world("sns").list_tags_for_resource(ResourceArn=arn)["Tags"])


def _lambda(world: World, arn: str) -> dict[str, str]:
    return dict(world("lambda").list_tags(Resource=arn)["Tags"])


_TAGS: dict[str, Callable[[World, str], dict[str, str]]] = {
    "kms": _kms, "dynamodb": _dynamodb, "logs": _logs, "s3": _s3, "sqs": _sqs, "sns": _sns, "lambda": _lambda,
}  # fmt: skip
