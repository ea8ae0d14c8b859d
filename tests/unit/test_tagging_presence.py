"""Resources without tags: those that are there and take some, and those that are gone, elsewhere or take none."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import boto3
import pytest

from evenkeel.control.registry import all_controls, groups
from evenkeel.events import parsing
from evenkeel.runtime.aws import Aws
from tagging.types import TYPES, Taggable
from tests import factories
from tests.contract.permissions import pascal
from tests.moto_gaps.dynamodb import creating
from tests.world import ACCOUNT, PLACE, REGION, World, client, cloudtrail, request

if TYPE_CHECKING:
    from collections.abc import Callable

TAGS = "tagging-required-tags"
READ = "resourcegroupstaggingapi:GetResources"
FAR: Final = "us-west-2"
KNOWN = {
    "schema_version": 1,
    "settle_seconds": 0,
    "controls": {TAGS: {"parameters": {"required": ["Project"], "values": {"Project": "shop"}}}},
}
EACH = pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.cfn_type)
GHOSTS = {
    "AWS::EC2::Instance": "i-0123456789abcdef0",
    "AWS::EC2::Volume": "vol-0123456789abcdef0",
    "AWS::EC2::NatGateway": "nat-0123456789abcdef0",
    "AWS::EFS::FileSystem": "fs-0123456789abcdef0",
    "AWS::KMS::Key": "01234567-89ab-cdef-0123-456789abcdef",
    "AWS::SecretsManager::Secret": "ghost-AbCdEf",
}


def _of(kind: str) -> Taggable:
    return next(each for each in TYPES if each.cfn_type == kind)


def _run(world: World, arn: str, **fields: Any) -> Any:
    return world.run(TAGS, request(TAGS, arn, **fields), document=KNOWN)


def _listed() -> set[str]:
    return set(all_controls()[TAGS].discover(Aws(client), PLACE))


def _far_bucket(name: str) -> str:
    far = boto3.session.Session("testing", "testing", region_name=FAR).client("s3")
    far.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": FAR})
    far.put_bucket_tagging(Bucket=name, Tagging={"TagSet": [{"Key": "Project", "Value": "own"}]})
    return f"arn:aws:s3:::{name}"


@EACH
def test_resource_with_tags_is_read_in_one_call(world: World, kind: Taggable) -> None:
    """If this fails, every look at a tagged resource costs a call more than it needs."""
    arn = factories.BY_TYPE[kind.cfn_type]()
    client("resourcegroupstaggingapi").tag_resources(ResourceARNList=[arn], Tags={"Project": "own"})
    assert _run(world, arn).outcome == "COMPLIANT"
    # The second read is the engine's own: is there an announcement to forget?
    assert world.wire.names() == [READ, "dynamodb:GetItem"]


@EACH
def test_resource_without_tags_is_looked_at_once_and_tagged(world: World, kind: Taggable) -> None:
    """If this fails, a type's look takes what is there for gone, or is made more often than needed."""
    arn = factories.BY_TYPE[kind.cfn_type]()
    assert _run(world, arn).outcome == "REMEDIATED"
    look = f"{kind.listing.service}:{pascal(kind.listing.service, kind.look.operation)}"
    reads = [name for name in world.wire.names() if name in {READ, look}]
    assert reads == [READ, look, READ]


@EACH
def test_what_is_gone_is_not_announced(world: World, kind: Taggable) -> None:
    """If this fails, people are told of the missing tags of what was deleted while its event settled."""
    arn = PLACE.arn(kind.arn, GHOSTS.get(kind.cfn_type, "ghost"))
    assert _run(world, arn).outcome == "GONE"
    assert _run(world, arn, creates=True).outcome == "RETURNED"  # it may be about to appear
    assert world.records() == []


@pytest.mark.parametrize(
    ("kind", "operation", "answer"),
    [
        ("AWS::DynamoDB::Table", "DescribeTable", {"Table": {"TableStatus": "DELETING"}}),
        ("AWS::EC2::Instance", "DescribeInstances",
         {"Reservations": [{"Instances": [{"InstanceId": "i-1", "State": {"Name": "terminated"}}]}]}),
        ("AWS::EC2::Volume", "DescribeVolumes", {"Volumes": [{"VolumeId": "vol-1", "State": "deleting"}]}),
        ("AWS::EC2::NatGateway", "DescribeNatGateways",
         {"NatGateways": [{"NatGatewayId": "nat-1", "State": "deleted"}]}),
        ("AWS::ECS::Cluster", "DescribeClusters", {"clusters": [{"status": "INACTIVE"}]}),
        ("AWS::EFS::FileSystem", "DescribeFileSystems", {"FileSystems": [{"LifeCycleState": "deleting"}]}),
        ("AWS::StepFunctions::StateMachine", "DescribeStateMachine", {"status": "DELETING"}),
        ("AWS::RDS::DBInstance", "DescribeDBInstances", {"DBInstances": [{"DBInstanceStatus": "deleting"}]}),
        ("AWS::RDS::DBCluster", "DescribeDBClusters", {"DBClusters": [{"Status": "deleting"}]}),
    ],
)  # fmt: skip
def test_what_is_being_deleted_counts_as_gone(world: World, kind: str, operation: str, answer: dict[str, Any]) -> None:
    """If this fails, what ends in a moment is announced, or tagged in vain."""
    arn = factories.ARNS[kind]
    named = {"TableArn": arn, "clusterArn": arn, "FileSystemArn": arn, "stateMachineArn": arn, "DBInstanceArn": arn,
             "DBClusterArn": arn}  # fmt: skip

    def told(value: Any) -> Any:
        if isinstance(value, list):
            return [told(each) for each in value]
        return {**named, **{name: told(each) for name, each in value.items()}} if isinstance(value, dict) else value

    world.wire.answer(_of(kind).listing.service, operation, told(answer))
    assert _run(world, arn).outcome == "GONE"
    assert world.records() == []


def test_bucket_of_another_region_is_left_to_that_region(world: World) -> None:
    """If this fails, every region's stack says of a well tagged bucket that it lacks its tags."""
    far, near = _far_bucket("orders-far"), factories.bucket("orders-near")
    found = _run(world, far)
    assert (found.outcome, FAR in found.reason) == ("NOT_APPLICABLE", True)
    assert world.records() == []
    assert {arn for arn in _listed() if ":s3:" in arn} == {near}


def test_name_that_only_begins_as_asked_is_another_bucket(world: World) -> None:
    """If this fails, a deleted bucket passes for present because another's name begins with its own."""
    factories.bucket("orders-archive")
    assert _run(world, "arn:aws:s3:::orders").outcome == "GONE"


def test_key_that_takes_no_tags_is_left(world: World) -> None:
    """If this fails, keys that AWS manages or that are being deleted are announced, or fail to be tagged."""
    arn = factories.key()
    client("kms").schedule_key_deletion(KeyId=arn.rpartition("/")[2])
    found = _run(world, arn)
    assert (found.outcome, found.reason) == ("NOT_APPLICABLE", "the key is being deleted")
    own = client("kms").describe_key(KeyId=arn)["KeyMetadata"]
    world.wire.answer("kms", "DescribeKey", {"KeyMetadata": {**own, "KeyManager": "AWS", "KeyState": "Enabled"}})
    found = _run(world, arn)
    assert (found.outcome, "AWS managed keys cannot be tagged" in found.reason) == ("NOT_APPLICABLE", True)
    assert world.records() == []


def test_key_that_waits_for_its_material_is_tagged(world: World) -> None:
    """If this fails, every key in a state that begins with Pending is left without tags."""
    assert _run(world, factories.key(Origin="EXTERNAL")).outcome == "REMEDIATED"


def test_secret_that_is_deleted_or_kept_by_a_service_is_left(world: World) -> None:
    """If this fails, secrets that nobody may tag, or that end in some days, are announced."""
    arn = factories.BY_TYPE["AWS::SecretsManager::Secret"]()
    world.wire.answer("secretsmanager", "DescribeSecret", {"ARN": arn, "OwningService": "rds"})
    assert "a service manages the secret" in _run(world, arn).reason
    client("secretsmanager").delete_secret(SecretId=arn)
    found = _run(world, arn)
    assert (found.outcome, found.reason) == ("NOT_APPLICABLE", "the secret is being deleted")
    assert world.records() == []


def test_look_that_is_throttled_comes_back(world: World) -> None:
    """If this fails, a resource is called gone, or announced, because AWS was too busy to say."""
    arn = factories.table()
    world.wire.fail("dynamodb", "DescribeTable", "ThrottlingException")
    assert _run(world, arn).outcome == "RETURNED"
    assert world.records() == []


def _queues(count: int) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return SQS's ListQueues (developer guide, "Amazon SQS list queue pagination"): no pages unless asked for."""
    urls = [f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/q{number:05}" for number in range(count)]

    def answer(params: dict[str, Any]) -> dict[str, Any]:
        if "MaxResults" not in params:
            return {"QueueUrls": urls[:1000]}
        start = int(params.get("NextToken", 0))
        end = start + params["MaxResults"]
        return {"QueueUrls": urls[start:end]} | ({"NextToken": str(end)} if end < count else {})

    return answer


def test_every_queue_is_listed(world: World) -> None:
    """If this fails, a run over all leaves out whatever is beyond the first thousand queues."""
    world.wire.stand_ins["sqs", "ListQueues"] = _queues(2500)
    assert len({arn for arn in _listed() if ":sqs:" in arn}) == 2500


def test_what_makes_no_pages_by_itself_is_asked_for_pages(world: World) -> None:
    """If this fails, a listing of a large account is cut short, refused, throttled or out of time."""
    _listed()
    sizes = {"ListQueues": "MaxResults", "ListBuckets": "MaxBuckets", "DescribeInstances": "MaxResults",
             "DescribeVolumes": "MaxResults", "DescribeNatGateways": "MaxResults"}  # fmt: skip
    for operation, size in sizes.items():
        assert [0 < call[size] <= 1000 for call in world.wire.params(operation)] == [True]


def test_table_that_is_being_restored_is_tagged_once_it_is_there(world: World) -> None:
    """If this fails, a restored table, for minutes or hours in the making, is never tagged, or counts as failed."""
    arn = factories.BY_TYPE["AWS::DynamoDB::Table"]()
    with creating(arn.rpartition("/")[2]):
        first = _run(world, arn, creates=True)
    assert (first.outcome, "the table is being created" in first.reason) == ("RETURNED", True)
    assert world.run(TAGS, first.request.again(world.now), document=KNOWN).outcome == "REMEDIATED"


def _secret_of(world: World, region: str, **tags: str) -> str:
    """Return a secret whose primary is in a region; moto does not say where."""
    arn: str = client("secretsmanager").create_secret(
        Name="orders", SecretString="x", Tags=[{"Key": key, "Value": value} for key, value in tags.items()]
    )["ARN"]
    world.wire.answer("secretsmanager", "DescribeSecret", {"ARN": arn, "Name": "orders", "PrimaryRegion": region})
    return arn


@pytest.mark.parametrize("tags", [{}, {"team": "x"}])
def test_replica_of_a_secret_is_left_to_its_primary(world: World, tags: dict[str, str]) -> None:
    """If this fails, Evenkeel tries to tag a replica, which AWS refuses, and reports a failure."""
    result = _run(world, _secret_of(world, FAR, **tags))
    assert (result.outcome, f"it is in {FAR}" in result.reason) == ("NOT_APPLICABLE", True)
    assert world.wire.changes() == []


def test_primary_of_replicas_is_tagged(world: World) -> None:
    """If this fails, a secret with replicas, and with it all of them, stays without an owner."""
    assert _run(world, _secret_of(world, REGION, team="x")).outcome == "REMEDIATED"


def test_secret_that_is_untagged_by_its_name_is_tagged_again(world: World) -> None:
    """If this fails, tags are taken off a secret unseen by whoever writes its name instead of its ARN."""
    arn = client("secretsmanager").create_secret(Name="orders/api", SecretString="x")["ARN"]
    event = cloudtrail(
        "secretsmanager.amazonaws.com", "UntagResource", world.now,
        requestParameters={"secretId": "orders/api", "tagKeys": ["Project"]}, responseElements=None,
    )  # fmt: skip
    [asked] = parsing.parse(event, groups()["tagging"], PLACE).requests
    result = world.run(TAGS, asked, document=KNOWN)
    assert (result.outcome, result.request.resource.arn) == ("REMEDIATED", arn)
    assert world.wire.names().count("secretsmanager:DescribeSecret") == 2
    gone = replace(asked, resource=replace(asked.resource, arn=asked.resource.arn.replace("api", "gone")))
    assert world.run(TAGS, gone, document=KNOWN).outcome == "SKIPPED"


def test_dry_run_says_what_the_run_will_end_as(world: World) -> None:
    """If this fails, a dry run promises a repair, and the run ends as PARTIAL."""
    arn = factories.BY_TYPE["AWS::DynamoDB::Table"]()
    client("dynamodb").tag_resource(ResourceArn=arn, Tags=[{"Key": "Owner", "Value": ""}])
    rules = {"required": ["Project", "Owner"], "values": {"Project": "shop"}}
    document = {**KNOWN, "controls": {TAGS: {"parameters": rules}}}
    dry = world.run(TAGS, request(TAGS, arn, dry_run=True), document=document)
    told = "would end as PARTIAL: Owner is empty; Evenkeel never overwrites a tag: give it a value"
    assert (dry.outcome, dry.reason) == ("WOULD_APPLY", f"lacks Project; Owner is empty; {told}")
    assert world.run(TAGS, request(TAGS, arn), document=document).outcome == "PARTIAL"
