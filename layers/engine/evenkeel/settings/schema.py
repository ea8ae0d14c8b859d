"""The form of the settings document: every key with its type, bounds, default and description, each said once.

:mod:`evenkeel.settings.parser` reads documents with it, and the command line makes the JSON Schema that editors use of
it. What one key means for another is not in it: :mod:`evenkeel.settings.rules` and the controls check that.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from evenkeel.control import Env
from evenkeel.model import Mode
from evenkeel.settings import rules
from evenkeel.settings.schema_collections import List, Object, OneOrMore, Table
from evenkeel.settings.schema_types import Anything, Boolean, Choice, Constant, Day, Integer, Text
from evenkeel.versions import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Collection

    from evenkeel.control import Control
    from evenkeel.settings.schema_types import Type

CHANGING = (Mode.ENFORCE, Mode.APPROVE)
"""Modes without effect for a control that only announces. Such a mode is refused when pushed, and counts as notify
where it is in force already: what was valid yesterday never stops a running stack."""
DEFAULT_SETTLE_SECONDS = 60
_MAX_SETTLE_SECONDS = 900  # SQS delays a message at most 15 minutes
_LARGEST_RADIUS = 1_000_000
_LONGEST_FREEZE_HOURS = 31 * 24
_SOME_SELECTOR = "selects nothing"
_SOME_SETTING = "changes nothing"

_SELECTOR: dict[str, Type] = {
    "resources": List(
        items=Text(pattern=r"^(\*|arn:)", write="an ARN pattern that begins with arn: or *, e.g. '*:my-bucket'"),
        shortest=1,
        description="ARN patterns; * and ? are special.",
    ),
    "accounts": List(
        items=Text(pattern=r"^[0-9]{12}$(?!\n)", write="an account's 12 digits in quotes"),
        shortest=1,  # in Python, other than in editors, $ is also before a last line break
        description="Account ids: 12 digits, in quotes.",
    ),
    "regions": List(items=Text(write="a region, e.g. eu-west-1"), shortest=1),
    "tags": Table(
        values=OneOrMore(items=Text(write="the tag's value")),
        description="Tag keys with the value, or the list of values, that the resource must have.",
    ),
}
_EXEMPTION_SELECTOR = {name: kind for name, kind in _SELECTOR.items() if name != "regions"}


@cache
def given(control: Control | None) -> dict[str, Type]:
    """Return what can be said of a control, for all resources or in an override; of an unknown one, anything."""
    if control is None:
        return dict.fromkeys(rules.GIVEN, Anything())
    no_effect = f"can have no effect: {control.id} only announces"
    tolerated = dict.fromkeys(map(str, CHANGING), no_effect) if control.only_announces else {}
    return {
        "mode": Choice(
            values=tuple(str(mode) for mode in Mode if mode not in tolerated),
            tolerated=tolerated,
            default=str(control.default_mode),
        ),
        "parameters": Object(fields={name: _parameter(default) for name, default in control.parameters.items()}),
        "blast_radius": Object(
            fields={
                "limit": Integer(
                    minimum=1,
                    maximum=_LARGEST_RADIUS,
                    default=control.blast_radius.limit,
                    description="Resources that may be changed in one account in one window.",
                ),
                "window_seconds": Integer(
                    minimum=1, maximum=_LARGEST_RADIUS, default=control.blast_radius.window_seconds
                ),
            }
        ),
    }


def _parameter(default: Any) -> Type:
    """Return the type of a parameter: that of its default."""
    if isinstance(default, Env):
        return Text(shortest=0, description=f"Default: what the stack says ({default}).")
    if isinstance(default, list):
        kinds = {type(item) for item in default}
        items: Type = Text(shortest=0) if kinds == {str} else Integer() if kinds == {int} else Anything()
        return List(items=items, default=default)
    if isinstance(default, dict):
        return Table(values=Anything(), default=default)
    if isinstance(default, str):
        return Text(shortest=0, default=default)
    return Boolean(default=default) if isinstance(default, bool) else Integer(default=default)


def section(control: Control | None) -> Object:
    """Return the form of ``controls.<id>``; that of an unknown control is only read as far as all have it."""
    settings = given(control)
    override = Object(
        fields={**_SELECTOR, **settings},
        some_of=((_SOME_SELECTOR, tuple(_SELECTOR)), (_SOME_SETTING, tuple(settings))),
        build=rules.override,
    )
    overrides = List(
        items=override,
        description="Other settings for some resources; resources win over tags, tags over regions, then accounts.",
    )
    return Object(
        fields={**settings, "overrides": overrides},
        build=rules.section,
        open=control is None,
        description=control.title if control else "",
    )


def document(controls: Collection[Control] | None = None) -> Object:
    """Return the form of the document where these are all the controls; without, any control's name is accepted."""
    known = None if controls is None else {each.id: each for each in sorted(controls, key=lambda each: each.id)}
    name = Text(write="a control's id, or *") if known is None else Choice(values=("*", *known))
    exemption = Object(
        fields={
            "controls": List(items=name, shortest=1),
            **_EXEMPTION_SELECTOR,
            "reason": Text(pattern=r"\S", write="why it is exempt"),
            "approver": Text(pattern=r"\S", write="who approved it", description="Who approved it."),
            "expires": Day(description="The last day on which it holds (UTC)."),
        },
        required=("controls", "reason", "approver", "expires"),
        some_of=((_SOME_SELECTOR, tuple(_EXEMPTION_SELECTOR)),),
        build=rules.exemption,
    )
    freeze = Object(
        fields={
            "name": Text(shortest=0, tolerant=True),
            "cron": Text(
                write="minute hour day month weekday", description="When it begins: minute hour day month weekday."
            ),
            "hours": Integer(minimum=1, maximum=_LONGEST_FREEZE_HOURS, write="whole hours"),
            "timezone": Text(write="one like Europe/Madrid", default="UTC", description="E.g. Europe/Madrid."),
            "controls": List(items=name, shortest=1, default=["*"]),
        },
        required=("cron", "hours"),
        build=rules.freeze,
    )
    return Object(
        fields={
            "schema_version": Constant(value=SETTINGS.version, accepts=SETTINGS.reads),
            "settle_seconds": Integer(
                minimum=0,
                maximum=_MAX_SETTLE_SECONDS,
                write="whole seconds",
                default=DEFAULT_SETTLE_SECONDS,
                description="How long a resource made by infrastructure as code is left alone first.",
            ),
            "controls": Table(values=section(None))
            if known is None
            else Object(fields={name: section(control) for name, control in known.items()}),
            "exemptions": List(items=exemption),
            "freezes": List(items=freeze),
        },
        required=("schema_version",),
    )
