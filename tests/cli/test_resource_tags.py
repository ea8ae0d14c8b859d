"""Tags of many resources: in batches, only where the stack stands, and said where they are not known."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from evenkeel.settings.rules import Subject
from evenkeel_cli.aws import resource_tags
from evenkeel_cli.aws.stacks import Stack
from tests.cli.fake_cloud import refusal

OUTPUTS = {"AuditTableArn": "arn:aws:dynamodb:eu-west-1:123456789012:table/evenkeel-audit"}


class Tagging:
    """A tagging API that knows these resources, takes 100 ARNs a call, and refuses the calls with these numbers."""

    def __init__(self, tags: dict[str, dict[str, str]], refuses: tuple[int, ...] = ()) -> None:
        """Keep what it knows."""
        self.meta = SimpleNamespace(region_name="eu-west-1")
        self._tags = tags
        self._refuses = refuses
        self.asked: list[int] = []

    def __call__(self, _: str) -> Any:
        """Return itself as any client."""
        return self

    def get_resources(self, *, ResourceARNList: list[str]) -> dict[str, Any]:  # noqa: N803 - boto3's names
        """Answer as AWS: what has no tags is left out."""
        self.asked.append(len(ResourceARNList))
        if len(self.asked) in self._refuses:
            raise refusal("ThrottledException", "GetResources")
        assert len(ResourceARNList) <= 100
        return {
            "ResourceTagMappingList": [
                {"ResourceARN": arn, "Tags": [{"Key": key, "Value": value} for key, value in self._tags[arn].items()]}
                for arn in ResourceARNList
                if arn in self._tags
            ]
        }


def _key(number: int, account: str = "123456789012", region: str = "eu-west-1") -> Subject:
    return Subject(f"arn:aws:kms:{region}:{account}:key/{number}", account, region)


def _read(tagging: Tagging, *subjects: Subject) -> resource_tags.Tags:
    return resource_tags.read(Stack("evenkeel", cast("Any", tagging), OUTPUTS, {}), subjects)


def test_many_are_read_in_few_calls_and_what_has_no_tags_is_known_to_have_none() -> None:
    """If this fails, a month of findings takes a call each, or an untagged resource counts as one that is not known."""
    keys = [_key(number) for number in range(250)]
    tagging = Tagging({keys[120].arn: {"Team": "a"}})
    found = _read(tagging, *keys, *keys)
    assert tagging.asked == [100, 100, 50]
    assert (found.of(keys[120]).tags, found.of(keys[0]).tags) == ({"Team": "a"}, {})
    assert found.warning == ""


def test_nothing_is_asked_where_no_rule_needs_it() -> None:
    """If this fails, a comparison of settings without tags needs a permission that it does not use."""
    tagging = Tagging({})
    assert (_read(tagging).known, tagging.asked) == ({}, [])


def test_what_is_elsewhere_is_not_asked_for_and_said() -> None:
    """If this fails, one resource of another account spoils the answer for a hundred others, or counts as untagged."""
    here, global_ = _key(1), Subject("arn:aws:s3:::b", "123456789012", "")
    away = [_key(2, account="210987654321"), _key(3, region="us-east-1")]
    found = _read(Tagging({}), here, global_, *away)
    assert set(found.known) == {here.arn, global_.arn}
    assert [found.of(each).tags for each in away] == [None, None]
    assert found.warning == (
        "The tags of 2 resources could not be read: it is in another account or region than the stack."
    )


def test_a_refused_batch_is_said_and_the_others_are_read() -> None:
    """If this fails, a throttled call makes rules over tags look as if they held for nothing."""
    keys = [_key(number) for number in range(150)]
    found = _read(Tagging({}, refuses=(1,)), *keys)
    assert (len(found.unread), len(found.known)) == (100, 50)
    assert "ThrottledException" in found.warning
    assert found.warning.startswith("The tags of 100 resources could not be read: cannot read tags: ")
