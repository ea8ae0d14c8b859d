"""The small parts: command lines, errors' meanings, the registry, the door to AWS, the domain's words."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError, ParamValidationError

from evenkeel.cli_lines import cli_line
from evenkeel.control import fits, registry
from evenkeel.errors import ErrorKind, ResourceMissingError, classify, code
from evenkeel.model import Call, Cause, Resource
from evenkeel.runtime.aws import ATTEMPTS, CLIENT_CONFIG, Aws, connect
from tests.world import PLACE, Context, client, request

if TYPE_CHECKING:
    from pathlib import Path

    from tests.wire import Wire
    from tests.world import World


@pytest.mark.parametrize(
    ("call", "region", "line"),
    [
        (Call("kms", "enable_key_rotation", {"KeyId": "1", "RotationPeriodInDays": 365}), "eu-west-1",
         "aws kms enable-key-rotation --key-id 1 --rotation-period-in-days 365 --region eu-west-1"),
        (Call("logs", "put_retention_policy", {"logGroupName": "/a b", "retentionInDays": 7}), "",
         "aws logs put-retention-policy --log-group-name '/a b' --retention-in-days 7"),
        (Call("s3", "put_bucket_tagging", {"Bucket": "b"}), "", "aws s3api put-bucket-tagging --bucket b"),
        (Call("x", "y", {"Enabled": True, "DryRun": False}), "", "aws x y --enabled --no-dry-run"),
        (Call("tag", "tag_resources", {"ResourceARNList": ["a", "b"], "Tags": {"b": "2", "a": "1"}}), "",
         "aws tag tag-resources --resource-arn-list a b --tags '{\"a\": \"1\", \"b\": \"2\"}'"),
        (Call("x", "y", {"List": [], "Numbers": [1]}), "", "aws x y --list '[]' --numbers '[1]'"),
        (Call("x", "y", {"Name": "it's $HOME; rm -rf /"}), "", "aws x y --name 'it'\"'\"'s $HOME; rm -rf /'"),
        (Call("x", "y"), "", "aws x y"),
    ],
)  # fmt: skip
def test_command_line(call: Call, region: str, line: str) -> None:
    """If this fails, the line in an alert does something else than Evenkeel did, or harm when it is pasted."""
    assert cli_line(call, region) == line


def _refused(name: str, message: str = "", status: int = 400) -> ClientError:
    return ClientError(
        {"Error": {"Code": name, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}, "Any"
    )


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (_refused("ThrottlingException"), ErrorKind.TRANSIENT),
        (_refused("TooManyRequestsException"), ErrorKind.TRANSIENT),
        (_refused("KMSInternalException"), ErrorKind.TRANSIENT),
        (_refused("DependencyTimeoutException"), ErrorKind.TRANSIENT),
        (_refused("OperationAbortedException"), ErrorKind.TRANSIENT),
        (_refused("ResourceInUseException"), ErrorKind.TRANSIENT),
        (_refused("LimitExceededException"), ErrorKind.TRANSIENT),
        (_refused("Anything", status=500), ErrorKind.TRANSIENT),
        (_refused("Anything", status=503), ErrorKind.TRANSIENT),
        (_refused("Anything", status=499), ErrorKind.REFUSED),
        (_refused("ValidationException"), ErrorKind.REFUSED),
        (_refused("NotFoundException"), ErrorKind.NOT_FOUND),
        (_refused("ResourceNotFoundException"), ErrorKind.NOT_FOUND),
        (_refused("TableNotFoundException"), ErrorKind.NOT_FOUND),
        (_refused("NoSuchBucket", status=404), ErrorKind.NOT_FOUND),
        (_refused("AWS.SimpleQueueService.NonExistentQueue"), ErrorKind.NOT_FOUND),
        (_refused("AccessDeniedException", "… with an explicit deny in a service control policy"), ErrorKind.DENIED),
        (_refused("AccessDenied", "… with an explicit deny in a resource-based policy"), ErrorKind.DENIED),
        (_refused("AccessDeniedException", "because no resource-based policy allows the kms:X"), ErrorKind.DENIED),
        (_refused("AccessDeniedException", "because no identity-based policy allows the kms:X"), ErrorKind.NOT_GRANTED),
        (_refused("UnauthorizedOperation"), ErrorKind.NOT_GRANTED),
        (_refused("AuthorizationError", "words we do not know"), ErrorKind.NOT_GRANTED),
        (ConnectTimeoutError(endpoint_url="https://x"), ErrorKind.TRANSIENT),
        (ParamValidationError(report="no bucket has such a name"), ErrorKind.REFUSED),
        (ResourceMissingError("x"), ErrorKind.NOT_FOUND),
        (ClientError({}, "Any"), ErrorKind.REFUSED),
    ],
)
def test_meaning_of_errors(error: Exception, kind: ErrorKind) -> None:
    """If this fails, an error is retried for ever, given up at once, or blamed on the wrong party."""
    assert classify(error) is kind


def test_code_of_an_error() -> None:
    """If this fails, errors are told apart by nothing."""
    assert (code(_refused("X")), code(ClientError({}, "Any"))) == ("X", "")


MODULE = """
from evenkeel.control import Control
class {name}(Control):
    '''A thing.'''
    triggers = permissions = ()
    def read(self, aws, context): return {{}}
    def judge(self, state, context): ...
    def discover(self, aws, place): return iter(())
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an importable folder for groups of a test's own."""
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.startswith(("awsthing", "thing")):
            del sys.modules[name]


def _package(folder: Path, name: str, **modules: str) -> None:
    (folder / name).mkdir()
    for module, text in {"__init__": "", "handler": "", **modules}.items():
        (folder / name / f"{module}.py").write_text(text)


def test_ids_follow_from_modules(folder: Path) -> None:
    """If this fails, a control is found under another name than its docs, events and settings have."""
    _package(
        folder, "thingone", some_setting=MODULE.format(name="Any"), other=MODULE.format(name="Thing"), helper="x = 1"
    )
    found = registry.controls_of("thingone")
    assert [(control.id, control.group) for control in found] == [
        ("thingone-other", "thingone"), ("thingone-some-setting", "thingone"),
    ]  # fmt: skip
    assert found[0].title == "A thing"


def test_two_controls_in_a_module_are_refused(folder: Path) -> None:
    """If this fails, one of two controls of a module is lost without a word."""
    _package(folder, "thingtwo", both=MODULE.format(name="One") + MODULE.format(name="Two"))
    with pytest.raises(ImportError, match=r"thingtwo\.both holds two controls; give each control a module of its own"):
        registry.controls_of("thingtwo")


def test_controls_that_are_only_imported_or_abstract_are_not_counted_twice(folder: Path) -> None:
    """If this fails, a control that another module imports counts as two, or a base class as one."""
    _package(
        folder, "thingthree",
        real=MODULE.format(name="Real"),
        user="from thingthree.real import Real\nfrom evenkeel.control import Control\nclass Base(Control): ...\n",
    )  # fmt: skip
    assert [control.id for control in registry.controls_of("thingthree")] == ["thingthree-real"]


def test_groups_are_folders_with_a_handler(folder: Path) -> None:
    """If this fails, the functions beside the remediators are taken for groups, or a group is not found."""
    _package(folder, "thingfour", real=MODULE.format(name="Real"))
    _package(folder, "thingfive", real=MODULE.format(name="Real"))
    (folder / "thingfive" / "handler.py").unlink()
    _package(folder, "clerk")
    assert list(registry.groups_in(folder)) == ["thingfour"]


def test_lambda_is_the_one_folder_with_another_name() -> None:
    """If this fails, controls of Lambda functions get ids that say awslambda."""
    found = registry.controls_of("awslambda")
    assert {control.group for control in found} == {"lambda"}
    assert all(control.id.startswith("lambda-") for control in found)


def test_all_controls_are_found() -> None:
    """If this fails, a control of the repository is deployed by nobody."""
    groups = registry.groups()
    assert sorted(registry.all_controls()) == sorted(control.id for group in groups.values() for control in group)
    assert set(groups) >= {"kms", "dynamodb", "logs", "tagging"}
    assert not {"clerk", "notifier", "settings_validator", "settings-validator", "undo"} & set(groups)


@pytest.mark.parametrize(
    ("template", "arn", "fit"),
    [
        ("arn:{partition}:kms:{region}:{account}:key/{id}", "arn:aws:kms:eu-west-1:1:key/2", True),
        ("arn:{partition}:kms:{region}:{account}:key/{id}", "arn:aws-cn:kms:cn-north-1:1:key/2", True),
        ("arn:{partition}:kms:{region}:{account}:key/{id}", "arn:aws:kms:eu-west-1:1:key/", False),
        ("arn:{partition}:kms:{region}:{account}:key/{id}", "arn:aws:kms:eu-west-1:1:alias/2", False),
        ("arn:{partition}:kms:{region}:{account}:key/{id}", "arn:aws:sqs:eu-west-1:1:key/2", False),
        ("arn:{partition}:kms:{region}:{account}:key/{id}", "urn:aws:kms:eu-west-1:1:key/2", False),
        ("arn:{partition}:kms:{region}:{account}:key/{id}", "arn:aws:kms:eu-west-1:1", False),
        ("arn:{partition}:kms:{region}:{account}:key/{id}", "arn:aws:kms:::key/2", False),
        ("arn:{partition}:kms:{region}:{account}:key/{id}", "arn:aws:kms:eu-west-1::key/2", False),
        ("arn:{partition}:kms:{region}:{account}:key/{id}", "arn:aws:kms:e:1:key/arn:aws:kms:e:1:key/2", False),
        ("arn:{partition}:logs:{region}:{account}:log-group:{id}", "arn:aws:logs:e:1:log-group:/a/b", True),
        ("arn:{partition}:logs:{region}:{account}:log-group:{id}", "arn:aws:logs:e:1:log-group:/a:log-stream:b", False),
        ("arn:{partition}:s3:::{id}", "arn:aws:s3:::b", True),
        ("arn:{partition}:s3:::{id}", "arn:aws:s3:::", False),
        ("arn:{partition}:s3:::{id}", "arn:aws:s3:eu-west-1:1:accesspoint/b", False),
        ("arn:{partition}:ec2:{region}:{account}:setting", "arn:aws:ec2:eu-west-1:1:setting", True),
        ("arn:{partition}:ec2:{region}:{account}:setting", "arn:aws:ec2:eu-west-1:1:setting/2", False),
        ("arn:{partition}:ec2:{region}:{account}:setting", "arn:aws:ec2:eu-west-1:1:", False),
    ],
)
def test_fit(template: str, arn: str, fit: bool) -> None:
    """If this fails, a control is asked about another type's resource, or not about its own."""
    assert fits(template, arn) is fit


def test_parts_of_an_arn() -> None:
    """If this fails, a resource's name or partition is cut in the wrong place."""
    resource = Resource("arn:aws-cn:logs:cn-north-1:1:log-group:/a:b", "1", "cn-north-1")
    assert (resource.partition, resource.name) == ("aws-cn", "log-group:/a:b")
    assert PLACE.arn("arn:{partition}:x:{region}:{account}:y/{id}", "{z}") == "arn:aws:x:eu-west-1:123456789012:y/{z}"


@pytest.mark.parametrize(
    ("told", "moment"),
    [
        ("2026-11-20T09:00:00Z", datetime(2026, 11, 20, 9, tzinfo=UTC)),
        ("2026-11-20T10:00:00+01:00", datetime(2026, 11, 20, 9, tzinfo=UTC)),
        ("2026-11-20T09:00:00", datetime(2026, 11, 20, 9, tzinfo=UTC)),
        ("", datetime(2026, 1, 1, tzinfo=UTC)),
        ("Nov 20, 2026", datetime(2026, 1, 1, tzinfo=UTC)),
        ("1999-12-31T23:59:59Z", datetime(2026, 1, 1, tzinfo=UTC)),
        ("2200-01-01T00:00:00Z", datetime(2026, 1, 1, tzinfo=UTC)),
    ],
)
def test_time_of_an_event(told: str, moment: datetime) -> None:
    """If this fails, settling is counted from the wrong moment, or an odd time crashes the worker."""
    wish = request("kms-key-rotation", "arn:aws:kms:eu-west-1:1:key/2", cause=Cause("cloudtrail", event_time=told))
    assert wish.event_time(datetime(2026, 1, 1, tzinfo=UTC)) == moment


def test_request_that_comes_again_remembers_since_when() -> None:
    """If this fails, six hours of returns begin anew at each of them."""
    first, second = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)
    wish = request("kms-key-rotation", "arn:aws:kms:eu-west-1:1:key/2").again(first).again(second)
    assert (wish.attempt, wish.first_seen) == (2, first.isoformat())


def test_door_to_aws_makes_one_client_a_service_and_counts(world: World, wire: Wire) -> None:
    """If this fails, every call builds a client (slow), or the audit's count of calls is wrong."""
    made: list[str] = []

    def door(service: str) -> Any:
        made.append(service)
        return client(service)

    aws = Aws(door)
    answer = aws("kms", "create_key")
    assert "ResponseMetadata" not in answer
    assert next(iter(aws.pages("kms", "list_keys", Limit=1)))["Keys"]
    aws.run(Call("kms", "enable_key_rotation", {"KeyId": answer["KeyMetadata"]["KeyId"]}))
    assert made == ["kms"]
    assert aws.made == [("kms", "create_key"), ("kms", "list_keys"), ("kms", "enable_key_rotation")]
    other = aws.fresh()
    assert other.made == []
    other("kms", "list_keys")
    assert (made, len(aws.made), len(other.made)) == (["kms"], 3, 1)


def test_refused_call_is_counted_too(world: World, wire: Wire) -> None:
    """If this fails, calls that AWS refused are left out of the audit's count."""
    aws = Aws(client)
    wire.fail("kms", "CreateKey", "ThrottlingException")
    with pytest.raises(ClientError):
        aws("kms", "create_key")
    assert aws.made == [("kms", "create_key")]


def test_throttled_page_does_not_end_a_listing(variables: pytest.MonkeyPatch, world: World, wire: Wire) -> None:
    """If this fails, a backfill of a large account dies at its first throttle, and begins anew, and dies again."""
    client("kms").create_key()
    _, controls = connect("eu-west-1")
    assert controls._patient("kms").meta.config.retries["total_max_attempts"] == ATTEMPTS
    assert controls.client("kms").meta.config.retries["total_max_attempts"] == 1
    assert len(list(controls.pages("kms", "list_keys"))) == len(controls.made) == 1


@pytest.mark.parametrize("number", [0, 1])
def test_clients_give_up_in_time(variables: pytest.MonkeyPatch, number: int) -> None:
    """If this fails, a hanging call outlives the function's time limit, or calls do not carry our name."""
    doors = connect("eu-west-1")
    kms = doors[number].client("kms")
    assert kms.meta.region_name == "eu-west-1"
    config = kms.meta.config
    longest = (config.connect_timeout + config.read_timeout) * ATTEMPTS
    assert config.retries["total_max_attempts"] == (ATTEMPTS, 1)[number]
    assert longest * 1000 < Context().get_remaining_time_in_millis() / 2
    assert "evenkeel/" in config.user_agent_extra
    assert CLIENT_CONFIG.retries["mode"] == "standard"


PACKAGES = sorted({type(control).__module__.partition(".")[0] for control in registry.all_controls().values()})


@pytest.mark.parametrize("package", PACKAGES)
def test_handler_of_every_group_can_be_imported(package: str) -> None:
    """If this fails, a Lambda of the template does not start."""
    from importlib import import_module  # noqa: PLC0415 - one user

    assert callable(import_module(f"{package}.handler").handler)


def test_throttle_that_passes_is_ridden_out_within_the_call(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """If this fails, each brief throttle costs a round through the queue."""
    from botocore.awsrequest import AWSResponse  # noqa: PLC0415 - one user

    monkeypatch.setattr("time.sleep", lambda _: None)
    answers = [AWSResponse("https://127.0.0.1/", 503, {}, _Body())]
    door = connect("eu-west-1")[0].client("kms")
    door.meta.events.register_first("before-send.kms.ListAliases", lambda **_: answers.pop() if answers else None)
    assert door.list_aliases()["ResponseMetadata"]["RetryAttempts"] == 1


def test_controls_reads_are_tried_again_and_their_changes_are_not(world: World, wire: Wire) -> None:
    """If this fails, a brief throttle costs a round through the queue, or a retry replaces what an owner set."""
    arn = client("kms").create_key()["KeyMetadata"]["Arn"]
    aws = Aws(client, (0.0, 0.0))
    wire.fail("kms", "GetKeyRotationStatus", "ThrottlingException", times=2)
    assert aws("kms", "get_key_rotation_status", KeyId=arn)["KeyRotationEnabled"] is False
    for operation, answer, calls in (
        ("GetKeyRotationStatus", "ThrottlingException", 3),
        ("GetKeyRotationStatus", "NotFoundException", 1),
    ):
        wire.clear()
        wire.fail("kms", operation, answer, times=9)
        with pytest.raises(ClientError, match=answer):
            aws("kms", "get_key_rotation_status", KeyId=arn)
        assert len(wire.calls) == calls
    wire.fail("kms", "EnableKeyRotation", "ThrottlingException")
    with pytest.raises(ClientError, match="Throttling"):
        aws.run(Call("kms", "enable_key_rotation", {"KeyId": arn}))


class _Body:
    def stream(self) -> Any:
        return iter([b"{}"])

    def read(self) -> bytes:
        return b"{}"
