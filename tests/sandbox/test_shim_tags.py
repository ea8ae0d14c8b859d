"""Tag changes are told through whichever API they come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.client import Sandbox

PLACE = "eu-west-1:123456789012"


def _changes(sandbox: Sandbox, arn: str) -> list[dict[str, Any]]:
    return [each["detail"] for each in sandbox.events(source="aws.tag") if each["resources"] == [arn]]


def _kms(sandbox: Sandbox) -> tuple[str, Callable[[], Any], Callable[[], Any]]:
    client = sandbox.client("kms")
    key = client.create_key()["KeyMetadata"]
    tag = {"TagKey": "Owner", "TagValue": "Ann"}
    return (
        key["Arn"],
        lambda: client.tag_resource(KeyId=key["KeyId"], Tags=[tag]),
        lambda: client.untag_resource(KeyId=key["KeyId"], TagKeys=["Owner"]),
    )


def _queue(sandbox: Sandbox) -> tuple[str, Callable[[], Any], Callable[[], Any]]:
    client = sandbox.client("sqs")
    url = client.create_queue(QueueName="tagged")["QueueUrl"]
    return (
        f"arn:aws:sqs:{PLACE}:tagged",
        lambda: client.tag_queue(QueueUrl=url, Tags={"Owner": "Ann"}),
        lambda: client.untag_queue(QueueUrl=url, TagKeys=["Owner"]),
    )


def _group(sandbox: Sandbox) -> tuple[str, Callable[[], Any], Callable[[], Any]]:
    client = sandbox.client("logs")
    client.create_log_group(logGroupName="/tagged")
    arn = f"arn:aws:logs:{PLACE}:log-group:/tagged"
    return (
        arn,
        lambda: client.tag_resource(resourceArn=arn, tags={"Owner": "Ann"}),
        lambda: client.untag_resource(resourceArn=arn, tagKeys=["Owner"]),
    )


def _bucket(sandbox: Sandbox) -> tuple[str, Callable[[], Any], Callable[[], Any]]:
    client = sandbox.client("s3")
    client.create_bucket(Bucket="tagged", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    tagging = {"TagSet": [{"Key": "Owner", "Value": "Ann"}]}
    return (
        "arn:aws:s3:::tagged",
        lambda: client.put_bucket_tagging(Bucket="tagged", Tagging=tagging),
        lambda: client.delete_bucket_tagging(Bucket="tagged"),
    )


@pytest.mark.parametrize(
    ("make", "service", "kind"),
    [(_kms, "kms", "key"), (_queue, "sqs", "queue"), (_group, "logs", "log-group"), (_bucket, "s3", "bucket")],
)
def test_adding_and_removing_a_tag_is_told(sandbox: Sandbox, make: Callable[..., Any], service: str, kind: str) -> None:
    """The tagging control would not hear that someone removed a required tag."""
    arn, add, remove = make(sandbox)
    add()
    add()
    remove()
    added, removed = _changes(sandbox, arn)
    assert (added["changed-tag-keys"], added["tags"], added["version"]) == (["Owner"], {"Owner": "Ann"}, 1)
    assert (removed["changed-tag-keys"], removed["tags"], removed["version"]) == (["Owner"], {}, 2)
    assert (added["service"], added["resource-type"]) == (service, kind)


def test_the_tagging_api_tells_each_resource(sandbox: Sandbox) -> None:
    """Tags that come through the Resource Groups Tagging API would go unheard."""
    topic = sandbox.client("sns").create_topic(Name="grouped")["TopicArn"]
    key = sandbox.client("kms").create_key()["KeyMetadata"]["Arn"]
    sandbox.client("resourcegroupstaggingapi").tag_resources(ResourceARNList=[topic, key], Tags={"Team": "x"})
    assert [each["changed-tag-keys"] for each in _changes(sandbox, topic)] == [["Team"]]
    assert [each["changed-tag-keys"] for each in _changes(sandbox, key)] == [["Team"]]


def test_a_resource_made_without_tags_tells_no_change(sandbox: Sandbox) -> None:
    """AWS sends a tag change for a creation only when tags came with it."""
    client = sandbox.client("sns")
    bare = client.create_topic(Name="bare")["TopicArn"]
    full = client.create_topic(Name="full", Tags=[{"Key": "Owner", "Value": "Ann"}])["TopicArn"]
    assert _changes(sandbox, bare) == []
    assert [each["changed-tag-keys"] for each in _changes(sandbox, full)] == [["Owner"]]
