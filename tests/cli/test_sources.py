"""Finding and switching the event sources of a stack."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError

from evenkeel_cli.aws import event_sources
from evenkeel_cli.ui.failure import CommandError, Exit
from tests.cli.fake_cloud import FakeCloud, Mapping, refusal

QUEUE = "arn:aws:sqs:eu-west-1:123456789012:{}"
STREAM = "arn:aws:dynamodb:eu-west-1:123456789012:table/audit/stream/2026-01-01T00:00:00.000"


def queue(name: str, **settings: Any) -> Mapping:
    """Return a mapping from a queue."""
    return Mapping(f"uuid-{name}", QUEUE.format(name), **settings)


def cloud(*mappings: Mapping) -> Any:
    """Return a cloud with these mappings."""
    return cast("Any", FakeCloud(*mappings))


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_sources, "POLL_SECONDS", 0.001)


def switched(there: Any, *, enabled: bool, seconds: float = 5) -> dict[str, event_sources.Source]:
    """Switch all sources of a cloud and return them by queue."""
    done = event_sources.switch(there, event_sources.find(there, "stack"), enabled=enabled, seconds=seconds)
    return {each.queue: each for each in done}


def test_only_queues_are_found_so_that_the_notifier_goes_on() -> None:
    """A pause would silence the alerts of what was done just before it."""
    found = event_sources.find(cloud(queue("kms"), Mapping("uuid-n", STREAM), queue("dynamodb")), "stack")
    assert [each.queue for each in found] == ["dynamodb", "kms"]


def test_a_stack_without_queues_is_refused() -> None:
    """A pause of the wrong stack would say that it is done."""
    with pytest.raises(CommandError, match="no remediators") as refused:
        event_sources.find(cloud(Mapping("uuid-n", STREAM)), "stack")
    assert refused.value.code is Exit.USAGE
    assert "evenkeel-prod" in refused.value.next_step


def test_a_stack_that_is_not_there_is_named_with_those_that_are() -> None:
    """A misspelt name in an emergency would cost the time to look the right one up."""
    with pytest.raises(CommandError, match="no stack gone in eu-west-1") as refused:
        event_sources.find(cloud(queue("kms")), "gone")
    assert refused.value.code is Exit.USAGE
    assert "evenkeel-prod" in refused.value.next_step
    assert "shop" not in refused.value.next_step


@pytest.mark.parametrize("enabled", [False, True])
def test_switching_waits_until_lambda_has_done_it(enabled: bool) -> None:
    """A pause would be reported while Lambda still feeds the remediators."""
    there = cloud(queue("kms", looks=4), queue("logs", looks=1))
    done = switched(there, enabled=enabled)
    wanted = "Enabled" if enabled else "Disabled"
    assert {each.state for each in done.values()} == {wanted}
    assert {each.state for each in there.mappings.values()} == {wanted}
    assert not any(each.trouble for each in done.values())


def test_a_mapping_that_is_busy_is_asked_again() -> None:
    """Pause right after a deployment or a resume would fail, because Lambda is still busy with that."""
    there = cloud(queue("kms", refuses=["ResourceInUseException", "ResourceConflictException"]))
    assert switched(there, enabled=False)["kms"].state == "Disabled"


def test_one_refused_source_keeps_no_other_from_being_paused() -> None:
    """In an emergency one missing permission would leave everything running."""
    there = cloud(queue("kms", refuses=["AccessDeniedException"]), queue("logs"))
    done = switched(there, enabled=False)
    assert there.mappings["uuid-logs"].state == "Disabled"
    assert "AccessDeniedException" in done["kms"].trouble
    assert not done["logs"].trouble


def test_what_does_not_end_in_time_is_said() -> None:
    """A pause that Lambda never finishes would wait for ever, or be called done."""
    done = switched(cloud(queue("kms", looks=10**9)), enabled=False, seconds=0.02)
    assert done["kms"].trouble.startswith("still Disabling after")


def test_a_mapping_on_its_way_to_the_other_state_is_turned_back() -> None:
    """A pause right after a resume would see Disabled, do nothing, and Lambda would then enable it."""
    under_way = queue("kms", state="Disabled", looks=3)
    under_way.change(enabled=True)
    under_way.state = "Disabled"
    done = switched(cloud(under_way), enabled=False)
    assert done["kms"].state == under_way.state == "Disabled"
    assert under_way.wanted == "Disabled"


@pytest.mark.parametrize(
    ("names", "ended"),
    [
        (["prod"], "prod"),
        (["prod", "dev"], "no stack is given, and eu-west-1 has 2 Evenkeel stacks: dev, prod"),
        ([], "no stack is given, and there is no Evenkeel stack in eu-west-1"),
    ],
)
def test_the_only_stack_of_a_region_is_the_default(names: list[str], ended: str) -> None:
    """If this fails, a command acts on one of several stacks, or asks for a name that could only be one."""
    stacks = [{"StackName": name, "Description": "Evenkeel: keeps accounts upright"} for name in names]
    stacks += [{"StackName": "shop", "Description": "A shop"}]
    stacks += [{"StackName": "prod-Kms-1", "Description": "Evenkeel's group", "ParentId": "arn:…"}]
    there = _listing(stacks)
    if len(names) == 1:
        assert event_sources.only(there) == ended
        return
    with pytest.raises(CommandError) as refused:
        event_sources.only(there)
    assert (refused.value.message, refused.value.code) == (ended, Exit.USAGE)


def test_whoever_may_not_list_stacks_is_asked_for_a_name() -> None:
    """If this fails, a role that may act on one stack only is shown a refusal of AWS's in place of what to do."""
    with pytest.raises(CommandError, match="no stack is given") as refused:
        event_sources.only(_listing(refusal("AccessDenied")))
    assert "--stack" in refused.value.next_step
    with pytest.raises(ClientError):
        event_sources.only(_listing(refusal("Throttling")))


def _listing(stacks: Any) -> Any:
    """Return a cloud that lists these stacks, or refuses to."""

    def paginate() -> Any:
        if isinstance(stacks, ClientError):
            raise stacks
        return [{"Stacks": stacks}]

    client = SimpleNamespace(
        get_paginator=lambda _: SimpleNamespace(paginate=paginate), meta=SimpleNamespace(region_name="eu-west-1")
    )
    return lambda _: client
