"""The story of the demo: alice creates resources as people do, bob weakens some of them."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evenkeel import clock
from evenkeel_cli.local import demo_checks as checks
from evenkeel_cli.local import local_stack

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from evenkeel_cli.local.demo_world import World

KMS, PITR = "kms-key-rotation", "dynamodb-point-in-time-recovery"
ENCRYPTION, RETENTION, TAGS = "logs-group-encryption", "logs-group-retention", "tagging-required-tags"
LOGGING, BLOCK = "cloudtrail-logging", "s3-bucket-public-access-block"
TAG_CHANGE = "Tag Change on Resource"
CODE = "def handler(event, context):\n    return None\n"

Check = tuple[str, "Callable[[World, str], str]"]
"""A control's id, and a read that returns what is still wrong with a resource (empty: nothing)."""


@dataclass(frozen=True, slots=True)
class Deed:
    """One call of one person, and its expected effects."""

    person: str
    name: str
    """Name of the resource on the screen, e.g. ``table shop-orders``."""
    arn: str
    event: str
    """Name of the event that the call causes."""
    at: datetime
    """Time of the call's response."""
    repaired: tuple[Check, ...] = ()
    """Controls that must repair the resource, each with a read that proves it."""
    left_alone: tuple[Check, ...] = ()
    """Controls that must check the resource and not change it, each with a read that proves it."""


def _key(world: World) -> Deed:
    made = world("kms", "alice").create_key(Description="shop: card numbers")["KeyMetadata"]
    at = clock.now()
    world.made["key"] = made["Arn"]
    repaired = ((KMS, checks.rotates), (TAGS, checks.tagged("alice")))
    return Deed("alice", f"key {made['KeyId'][:8]}", made["Arn"], "CreateKey", at, repaired)


def _table(world: World) -> Deed:
    made = world("dynamodb", "alice").create_table(
        TableName="shop-orders",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    )["TableDescription"]
    at = clock.now()
    world.made["table"] = made["TableArn"]
    repaired = ((PITR, checks.recoverable), (TAGS, checks.tagged("alice")))
    return Deed("alice", "table shop-orders", made["TableArn"], "CreateTable", at, repaired)


def _log_group(world: World) -> Deed:
    world("logs", "alice").create_log_group(logGroupName="/shop")
    at = clock.now()
    arn = f"arn:aws:logs:{world.sandbox.region}:{world.sandbox.account}:log-group:/shop"
    world.made["group"] = arn
    repaired = ((ENCRYPTION, checks.encrypted), (RETENTION, checks.retained), (TAGS, checks.tagged("alice")))
    return Deed("alice", "log group /shop", arn, "CreateLogGroup", at, repaired)


def _bucket(world: World) -> Deed:
    place = {} if world.sandbox.region == "us-east-1" else {
        "CreateBucketConfiguration": {"LocationConstraint": world.sandbox.region}
    }  # fmt: skip
    owner = (
        local_stack.OWNER if world.sandbox.region == "us-east-1" else "alice"
    )  # there, the event does not prove its creator
    world("s3", "alice").create_bucket(Bucket="shop-bills", **place)
    return Deed("alice", "bucket shop-bills", "arn:aws:s3:::shop-bills", "CreateBucket", clock.now(),
                ((TAGS, checks.tagged(owner)),))  # fmt: skip


def _trail(world: World) -> Deed:
    """Create a trail and start it at once: there is nothing to repair until bob stops it."""
    client = world("cloudtrail", "alice")
    arn = client.create_trail(Name="shop-trail", S3BucketName="shop-bills")["TrailARN"]
    client.start_logging(Name=arn)
    world.made["trail"] = arn
    return Deed("alice", "trail shop-trail", arn, "CreateTrail", clock.now())


def _queue(world: World) -> Deed:
    world("sqs", "alice").create_queue(QueueName="shop-mail")
    at = clock.now()
    arn = f"arn:aws:sqs:{world.sandbox.region}:{world.sandbox.account}:shop-mail"
    world.made["queue"] = arn
    return Deed("alice", "queue shop-mail", arn, "CreateQueue", at, ((TAGS, checks.tagged(local_stack.OWNER)),))


def _topic(world: World) -> Deed:
    arn = world("sns", "alice").create_topic(Name="shop-news")["TopicArn"]
    return Deed(
        "alice", "topic shop-news", arn, "CreateTopic", clock.now(), ((TAGS, checks.tagged(local_stack.OWNER)),)
    )


def _function(world: World) -> Deed:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("app.py", CODE)
    arn = world("lambda", "alice").create_function(
        FunctionName="shop-pdf",
        Runtime="python3.13",
        Role=world.role_arn,
        Handler="app.handler",
        Code={"ZipFile": target.getvalue()},
    )["FunctionArn"]
    at = clock.now()
    return Deed("alice", "function shop-pdf", arn, "CreateFunction20150331", at, ((TAGS, checks.tagged("alice")),))


def _asymmetric_key(world: World) -> Deed:
    """Create a near miss: a key that cannot rotate, tagged by its creator."""
    tags = {"Owner": "alice", **world.tag_values}
    made = world("kms", "alice").create_key(
        KeySpec="RSA_2048",
        KeyUsage="SIGN_VERIFY",
        Description="shop: signs receipts",
        Tags=[{"TagKey": key, "TagValue": value} for key, value in tags.items()],
    )["KeyMetadata"]
    at = clock.now()
    left = ((KMS, checks.does_not_rotate), (TAGS, checks.tagged("alice")))
    return Deed("alice", f"key {made['KeyId'][:8]}", made["Arn"], "CreateKey", at, (), left)


def _tagged_queue(world: World) -> Deed:
    """Create another near miss: a queue whose creator set every tag, to her own values."""
    own = {"Owner": "payments", "Environment": "prod", "Project": "shop", "CostCenter": "1042"}
    world("sqs", "alice").create_queue(QueueName="shop-paid", tags=own)
    at = clock.now()
    arn = f"arn:aws:sqs:{world.sandbox.region}:{world.sandbox.account}:shop-paid"
    left = ((TAGS, checks.tagged("payments", Environment="prod", Project="shop", CostCenter="1042")),)
    return Deed("alice", "queue shop-paid", arn, "CreateQueue", at, (), left)


def _rotation_off(world: World) -> Deed:
    arn = world.made["key"]
    world("kms", "bob").disable_key_rotation(KeyId=arn)
    name = f"key {arn.rpartition('/')[2][:8]}"
    return Deed("bob", name, arn, "DisableKeyRotation", clock.now(), ((KMS, checks.rotates),))


def _recovery_off(world: World) -> Deed:
    world("dynamodb", "bob").update_continuous_backups(
        TableName="shop-orders", PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": False}
    )
    arn = world.made["table"]
    return Deed("bob", "table shop-orders", arn, "UpdateContinuousBackups", clock.now(), ((PITR, checks.recoverable),))


def _key_off(world: World) -> Deed:
    world("logs", "bob").disassociate_kms_key(logGroupName="/shop")
    arn = world.made["group"]
    return Deed("bob", "log group /shop", arn, "DisassociateKmsKey", clock.now(), ((ENCRYPTION, checks.encrypted),))


def _retention_short(world: World) -> Deed:
    world("logs", "bob").put_retention_policy(logGroupName="/shop", retentionInDays=7)
    arn = world.made["group"]
    return Deed("bob", "log group /shop", arn, "PutRetentionPolicy", clock.now(), ((RETENTION, checks.retained),))


def _tag_off(world: World) -> Deed:
    client = world("sqs", "bob")
    client.untag_queue(QueueUrl=client.get_queue_url(QueueName="shop-mail")["QueueUrl"], TagKeys=["CostCenter"])
    at = clock.now()
    return Deed(
        "bob", "queue shop-mail", world.made["queue"], TAG_CHANGE, at, ((TAGS, checks.tagged(local_stack.OWNER)),)
    )


def _blind(world: World) -> Deed:
    arn = world.made["trail"]
    world("cloudtrail", "bob").stop_logging(Name=arn)
    return Deed("bob", "trail shop-trail", arn, "StopLogging", clock.now(), ((LOGGING, checks.logs),))


def _block_off(world: World) -> Deed:
    world("s3", "bob").delete_public_access_block(Bucket="shop-bills")
    arn, event = "arn:aws:s3:::shop-bills", "DeleteBucketPublicAccessBlock"
    return Deed("bob", "bucket shop-bills", arn, event, clock.now(), ((BLOCK, checks.blocked),))


CREATE: tuple[Callable[[World], Deed], ...] = (
    _key, _table, _log_group, _bucket, _trail, _queue, _topic, _function, _asymmetric_key, _tagged_queue,
)  # fmt: skip
WEAKEN: tuple[Callable[[World], Deed], ...] = (
    _blind, _rotation_off, _recovery_off, _key_off, _retention_short, _tag_off, _block_off,
)  # fmt: skip
SERVICES = ("kms", "dynamodb", "logs", "s3", "sqs", "sns", "lambda", "cloudtrail")


def play(world: World, person: str, acts: tuple[Callable[[World], Deed], ...]) -> list[Deed]:
    """Make all of a person's calls, one right after the other; return the deeds."""
    for service in SERVICES:
        world(service, person)  # created before the time is measured
    return [act(world) for act in acts]
