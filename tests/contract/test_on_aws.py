"""Every control on an AWS (moto and its gaps): its change holds, can be taken back, and needs just what it declares."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from evenkeel.control import Context, Env, Stage, fits
from evenkeel.errors import code
from evenkeel.model import Actor, Change, Compliant, NonCompliant, Resource
from evenkeel.runtime.aws import Aws
from tests.cases.case import changes, changes_type, enforcing, maker
from tests.contract.permissions import actions, pascal
from tests.contract.registry import CONTROLS
from tests.factories import ARNS
from tests.wire import READS
from tests.world import ACCOUNT, LOG_KEY, PLACE, REGION, client, request

if TYPE_CHECKING:
    from collections.abc import Iterable

    from evenkeel.control import Control
    from evenkeel.model import Call
    from tests.world import World

EACH = pytest.mark.parametrize(
    ("control", "kind"),
    [
        pytest.param(control, kind, id=f"{control.id}: {kind}")
        for control in CONTROLS
        for kind, arn in ARNS.items()
        if control.applies_to(arn) and changes_type(control, kind)
    ],
)


def _declared(control: Control, stage: Stage) -> set[str]:
    return {action for grant in control.permissions if grant.stage is stage for action in grant.actions}


def _context(control: Control, arn: str, *, creates: bool) -> Context:
    parameters = {name: LOG_KEY if isinstance(value, Env) else value for name, value in control.parameters.items()}
    parameters |= enforcing(control.id).get("parameters", {})
    place = Resource(arn, ACCOUNT, REGION)
    return Context(place, parameters, datetime.now(UTC), actor=Actor(owner="alice"), creates=creates)


def _run(calls: Iterable[Call]) -> None:
    for call in calls:
        assert not Aws(client).run(call).get("FailedResourcesMap")


def _run_again(control: Control, calls: Iterable[Call]) -> None:
    """Repeat calls; AWS may refuse one whose object went away with the first, if the control then reads again."""
    try:
        _run(calls)
    except ClientError as error:
        if code(error) not in control.busy_codes:
            raise


def _weak(control: Control, kind: str) -> tuple[str, Context, dict[str, Any], Any]:
    arn = maker(control.id, kind)()
    context = _context(control, arn, creates=True)
    state = control.read(Aws(client), context)
    finding = control.judge(state, context)
    assert isinstance(finding, NonCompliant)
    assert finding.change
    return arn, context, state, finding.change


@EACH
def test_change_holds_and_a_second_time_changes_nothing(world: World, control: Control, kind: str) -> None:
    """If this fails, a repeated call after a crash does harm, or the change does not satisfy its own control."""
    _, context, before, change = _weak(control, kind)
    _run(change.calls)
    once = control.read(Aws(client), context)
    judged = control.judge(once, context)
    assert isinstance(judged, Compliant) or judged.change is None
    assert control.essence(once) != control.essence(before)
    _run_again(control, change.calls)
    assert control.read(Aws(client), context) == once


@EACH
def test_undo_restores_what_was(world: World, control: Control, kind: str) -> None:
    """If this fails, taking a change back leaves something else than was there."""
    _, context, before, change = _weak(control, kind)
    _run(change.calls)
    _run(change.undo)
    after = control.read(Aws(client), context)
    assert control.essence(after) == control.essence(before)
    again = control.judge(after, context)
    assert isinstance(again, NonCompliant)
    assert again.change
    assert again.change.undo == change.undo
    # A call may name an id that AWS gives anew to what undo makes again.
    assert [call.operation for call in again.change.calls] == [call.operation for call in change.calls]


@EACH
def test_dry_run_changes_nothing_anywhere(world: World, control: Control, kind: str) -> None:
    """If this fails, a look at what would be done does something."""
    arn = maker(control.id, kind)()
    for creates in (True, False):
        wish = request(control.id, arn, creates=creates, dry_run=True, actor=Actor(owner="alice"))
        document = {"schema_version": 1, "settle_seconds": 0}
        result = world.run(control, wish, document=document)
        assert result.outcome in {"WOULD_APPLY", "WOULD_ANNOUNCE"}
        assert world.wire.changes() == []
    assert world.records() == []


def _used(world: World, control: Control) -> dict[Stage, set[str]]:
    """Return the IAM actions of all that a control did to one resource of each of its types."""
    used: dict[Stage, set[str]] = defaultdict(set)

    def take(stage: Stage) -> None:
        used[stage] |= actions(world.wire.calls)
        world.wire.calls.clear()

    for kind, arn in ARNS.items():
        if not control.applies_to(arn):
            continue
        if not changes_type(control, kind):
            made, change = maker(control.id, kind)(), Change((), ())
            context = _context(control, made, creates=True)
        else:
            made, context, _, change = _weak(control, kind)
        world.wire.calls.clear()
        for creates in (True, False):
            control.read(Aws(client), _context(control, made, creates=creates))
        take(Stage.READ)
        _run(change.calls)
        take(Stage.APPLY)
        control.read(Aws(client), context)
        take(Stage.READ)
        _run(change.undo)
        take(Stage.UNDO)
    list(control.discover(Aws(client), PLACE))
    take(Stage.DISCOVER)
    return used


def _computed(control: Control) -> dict[Stage, set[str]]:
    """Return the IAM actions of all calls that a control computes over its decision table."""
    from tests.wire import Made  # noqa: PLC0415 - a name for types only, elsewhere

    found: dict[Stage, set[str]] = defaultdict(set)
    for change in changes(control):
        for stage, calls in ((Stage.APPLY, change.calls), (Stage.UNDO, change.undo)):
            found[stage] |= actions(
                Made(call.service, pascal(call.service, call.operation), call.params) for call in calls
            )
    return found


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.id)
def test_permissions_are_what_is_used_and_nothing_more(world: World, control: Control) -> None:
    """If this fails, a role lacks a permission that its control needs, or holds one that nothing uses."""
    used, computed = _used(world, control), _computed(control)
    for stage in Stage:
        needed = used[stage] | computed[stage]
        borrowed = _declared(control, Stage.READ) if stage is Stage.DISCOVER else set()
        assert needed <= _declared(control, stage) | borrowed, stage
        assert _declared(control, stage) <= needed, stage


def test_mutating_calls_are_told_from_reads_by_their_names() -> None:
    """If this fails, the tests above would not see a change."""
    assert not [name for name in ("EnableKeyRotation", "TagResources", "TransactWriteItems") if name.startswith(READS)]


def test_every_taggable_type_is_among_those_tried() -> None:
    """If this fails, a type was added that these tests do not make."""
    templates = {on for control in CONTROLS for grant in control.permissions for on in grant.on if on != "*"}
    assert not [on for on in templates if not any(fits(on.replace("*", "{id}"), arn) for arn in ARNS.values())]


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.id)
def test_control_that_only_announces_never_computes_a_change(control: Control) -> None:
    """If this fails, a control without the permission to change something would try."""
    assert bool(changes(control)) is not control.only_announces
