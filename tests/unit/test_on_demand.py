"""A person's own payload."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from evenkeel.control.registry import groups
from evenkeel.errors import MalformedPayloadError, SettingsError
from evenkeel.model import Call, Cause, Outcome, Request, Resource, Result
from evenkeel.operators import on_demand
from evenkeel.runtime.aws import Aws
from tests import factories
from tests.world import ACCOUNT, PLACE, REGION, client

if TYPE_CHECKING:
    from tests.world import World

NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
KMS = groups()["kms"]
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1"


def _parse(payload: Any, group: str = "kms") -> on_demand.OnDemandRequest:
    return on_demand.parse(payload, groups()[group], PLACE, "invocation-1", NOW)


def test_wish_becomes_requests() -> None:
    """If this fails, a person's wish is not what is done, or not what is audited."""
    wish = _parse({"control": "kms-key-rotation", "resources": ["1", KEY, "2"], "dry_run": False})
    other = KEY[:-1] + "2"
    assert wish.arns == (KEY, other)
    assert wish.request(other) == Request(
        "kms-key-rotation",
        Resource(other, ACCOUNT, REGION),
        Cause("manual", "invocation-1", "Run", NOW.isoformat()),
        dry_run=True,  # until the run is found that covers it
    )


@pytest.mark.parametrize(("payload", "dry"), [({}, True), ({"dry_run": True}, True), ({"dry_run": False}, False)])
def test_dry_run_is_the_default(payload: dict[str, Any], dry: bool) -> None:
    """If this fails, a person who forgets a word changes an account."""
    assert _parse({"control": "kms-key-rotation", "resources": "all", **payload}).dry_run is dry


GOOD = {"control": "kms-key-rotation", "resources": [KEY]}


@pytest.mark.parametrize(
    ("payload", "told"),
    [
        (None, 'send {"control": …, "resources": [ARNs] or "all", "dry_run": true}'),
        ([], 'send {"control": …, "resources": [ARNs] or "all", "dry_run": true}'),
        ({"resources": "all"}, 'send {"control": …, "resources": [ARNs] or "all", "dry_run": true}'),
        ({**GOOD, "dryrun": False}, "unknown key 'dryrun'; known: after, control, dry_run, resources, run"),
        ({**GOOD, "control": "x"}, "control 'x' is not in this function; it has kms-key-rotation"),
        ({**GOOD, "dry_run": "false"}, "dry_run: 'false'; write true or false"),
        ({**GOOD, "dry_run": 0}, "dry_run: 0; write true or false"),
        ({**GOOD, "run": 5}, 'run: write the id that "open_run" answered'),
        ({**GOOD, "after": 5}, 'after: write the "next" of the previous answer'),
        ({**GOOD, "resources": []}, 'resources: write a list of ARNs or ids, or "all"'),
        ({**GOOD, "resources": "every"}, 'resources: write a list of ARNs or ids, or "all"'),
        ({**GOOD, "resources": [5]}, 'resources: write a list of ARNs or ids, or "all"'),
        ({**GOOD, "resources": ["a b"]}, "resources: 'a b' is not an AWS::KMS::Key"),
        ({**GOOD, "resources": ["arn:aws:s3:::b"]}, "resources: 'arn:aws:s3:::b' is not an AWS::KMS::Key"),
        (
            {**GOOD, "resources": [KEY.replace(ACCOUNT, "210987654321")]},
            f"resources: '{KEY.replace(ACCOUNT, '210987654321')}' is not in account {ACCOUNT}, {REGION}",
        ),
        (
            {**GOOD, "resources": [KEY.replace(REGION, "us-east-1")]},
            f"resources: '{KEY.replace(REGION, 'us-east-1')}' is not in account {ACCOUNT}, {REGION}",
        ),
    ],
)
def test_mistakes_are_told(payload: Any, told: str) -> None:
    """If this fails, a typo does something, or its message does not help."""
    with pytest.raises(MalformedPayloadError) as caught:
        _parse(payload)
    assert str(caught.value) == told


def test_resources_without_account_and_region_are_taken() -> None:
    """If this fails, buckets cannot be named by hand."""
    wish = _parse({"control": "tagging-required-tags", "resources": ["arn:aws:s3:::b"]}, "tagging")
    assert wish.arns == ("arn:aws:s3:::b",)


def _compliant(request: Request) -> Result:
    return Result(request, Outcome.COMPLIANT)


def _serve(payload: dict[str, Any], remaining: list[int], run: Any = _compliant) -> dict[str, Any]:
    return on_demand.serve(
        _parse({"control": "kms-key-rotation", **payload}), run, Aws(client), lambda: remaining.pop(0)
    )


def test_answer_describes_each_result() -> None:
    """If this fails, a person is not shown what was or would be called."""
    call = Call("kms", "enable_key_rotation", {"KeyId": "1"})
    answer = _serve(
        {"resources": ["1"]}, [60_000], lambda request: Result(request, Outcome.WOULD_APPLY, "off", (call,), "r")
    )
    assert answer == {
        "dry_run": True,
        "results": [
            {
                "resource": KEY,
                "control": "kms-key-rotation",
                "outcome": "WOULD_APPLY",
                "reason": "off",
                "calls": ["aws kms enable-key-rotation --key-id 1 --region eu-west-1"],
                "record_id": "r",
                "held_by": None,
            }
        ],
        "next": None,
    }


def test_what_the_time_does_not_reach_is_named() -> None:
    """If this fails, a long backfill is cut off by the time limit and nobody knows where."""
    answer = _serve({"resources": ["1", "2", "3"]}, [20_000, 20_000, 19_999])
    assert [result["resource"][-1] for result in answer["results"]] == ["1", "2"]
    assert answer["next"] == KEY[:-1] + "2"
    answer = _serve({"resources": ["1", "2", "3"], "after": answer["next"]}, [60_000, 60_000])
    assert [result["resource"][-1] for result in answer["results"]] == ["3"]
    assert answer["next"] is None


def test_place_that_is_not_in_the_list_begins_anew() -> None:
    """If this fails, an "after" from another list skips resources."""
    answer = _serve({"resources": ["1", "2"], "after": "elsewhere"}, [60_000] * 3)
    assert len(answer["results"]) == 2


def test_nothing_left_to_do_in_the_first_moment_is_told() -> None:
    """If this fails, an invocation without time left says that all is done."""
    assert _serve({"resources": ["1"], "after": KEY[:-1] + "0"}, [0])["next"] == KEY[:-1] + "0"


def test_trouble_with_one_resource_does_not_stop_the_others() -> None:
    """If this fails, one odd key keeps all others from being looked at."""

    def run(request: Request) -> Result:
        if request.resource.arn == KEY:
            raise SettingsError("bad settings")
        return _compliant(request)

    answer = _serve({"resources": ["1", "2"]}, [60_000] * 2, run)
    assert answer["results"][0] == {
        "resource": KEY, "control": "kms-key-rotation", "outcome": "ERROR", "reason": "bad settings",
        "calls": [], "record_id": "", "held_by": None,
    }  # fmt: skip
    assert answer["results"][1]["outcome"] == "COMPLIANT"


def test_all_goes_on_after_the_last(world: World) -> None:
    """If this fails, a backfill in parts leaves out resources or does some twice."""
    keys = sorted(factories.key() for _ in range(4))
    answer = _serve({"resources": "all"}, [60_000, 60_000, 0])
    assert [result["resource"] for result in answer["results"]] == keys[:2]
    answer = _serve({"resources": "all", "after": answer["next"]}, [60_000] * 4)
    assert [result["resource"] for result in answer["results"]] == keys[2:]
    assert answer["next"] is None
