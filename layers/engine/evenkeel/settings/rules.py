"""The settings for single resources: overrides, exemptions, freezes. A rule that cannot be evaluated means no change.

:mod:`evenkeel.settings.schema` reads their parts; what is built of them here is checked for what one part means for
another.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from evenkeel.arns import like
from evenkeel.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from evenkeel.settings.problems import DocumentPath, Problems

SOON = timedelta(days=14)
"""An exemption that ends within this time is announced once."""
GIVEN = ("mode", "parameters", "blast_radius")
"""What an override can give other values for."""


@dataclass(frozen=True, slots=True)
class Subject:
    """The resource that a rule may select. ``tags`` is None where they were not read."""

    arn: str
    account: str
    region: str
    tags: Mapping[str, str] | None = None


class TagsUnknownError(SettingsError):
    """A rule depends on tags that were not read, or cannot be: do not touch the resource."""


@dataclass(frozen=True, slots=True)
class Selector:
    """Which resources a rule is for: every part that is given must match; of a list, one.

    ``resources`` are ARN patterns with ``*`` and ``?``; ``tags`` maps keys to accepted values.
    """

    resources: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    tags: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def specificity(self) -> int:
        """Rank a selector: resource patterns before tags before regions before accounts."""
        parts = (self.accounts, self.regions, self.tags, self.resources)
        return sum(2**rank for rank, part in enumerate(parts) if part)

    def matches(self, subject: Subject) -> bool:
        """Return whether a subject is selected.

        Raises:
            TagsUnknownError: it depends on tags that are not known.
        """
        if self.accounts and subject.account not in self.accounts:
            return False
        if self.regions and subject.region not in self.regions:
            return False
        if self.resources and not any(like(pattern, subject.arn) for pattern in self.resources):
            return False
        if not self.tags:
            return True
        if subject.tags is None:
            raise TagsUnknownError(f"{subject.arn}: a rule depends on tags that cannot be read")
        return all(subject.tags.get(key) in values for key, values in self.tags)

    @property
    def text(self) -> str:
        """Return what it selects, in one line."""
        tags = (f"{key}={'|'.join(values)}" for key, values in self.tags)
        return ", ".join((*self.resources, *self.accounts, *self.regions, *tags))

    def may_overlap(self, other: Selector) -> bool:
        """Return whether some resource could match both; ARN patterns always count as overlapping."""
        pairs = ((self.accounts, other.accounts), (self.regions, other.regions))
        if any(one and two and not set(one) & set(two) for one, two in pairs):
            return False
        theirs = dict(other.tags)
        return all(set(values) & set(theirs[key]) for key, values in self.tags if key in theirs)


@dataclass(frozen=True, slots=True)
class Override:
    """Other settings for some of a control's resources. ``given`` holds mode, parameters or blast_radius."""

    selector: Selector
    given: dict[str, Any]
    where: DocumentPath


@dataclass(frozen=True, slots=True)
class Exemption:
    """An approved decision not to remediate some resources until a day (UTC) has passed."""

    controls: tuple[str, ...]
    selector: Selector
    reason: str
    approver: str
    expires: date
    where: DocumentPath

    def covers(self, control: str) -> bool:
        """Return whether it is about a control."""
        return "*" in self.controls or control in self.controls

    def in_force(self, now: datetime) -> bool:
        """Return whether it has not expired; an expired exemption counts as absent."""
        return now.date() <= self.expires

    def ends_soon(self, now: datetime) -> bool:
        """Return whether it is time to announce that it ends."""
        return self.in_force(now) and self.expires - now.date() <= SOON

    def described(self) -> dict[str, Any]:
        """Return it as JSON-able data."""
        return {
            "controls": list(self.controls),
            "resources": list(self.selector.resources),
            "accounts": list(self.selector.accounts),
            "tags": {key: list(values) for key, values in self.selector.tags},
            "reason": self.reason,
            "approver": self.approver,
            "expires": f"{self.expires}",
        }


@dataclass(frozen=True, slots=True)
class Freeze:
    """Times in which nothing is changed: from each firing of a cron expression, for some hours, in a time zone."""

    name: str
    cron: str
    hours: int
    timezone: str
    controls: tuple[str, ...]
    where: DocumentPath

    def ends(self, control: str, now: datetime) -> datetime | None:
        """Return when the freeze that holds now ends (UTC), or None."""
        if "*" not in self.controls and control not in self.controls:
            return None
        from zoneinfo import ZoneInfo  # noqa: PLC0415 - as cronsim below

        zone = ZoneInfo(self.timezone)
        minute = now.astimezone(zone).replace(second=0, microsecond=0)
        start = _last_firing(self.cron, self.timezone, minute + timedelta(minutes=1))
        if start is None:
            return None
        end = start + timedelta(hours=self.hours)
        return end.astimezone(now.tzinfo) if end > now else None


@lru_cache(maxsize=64)
def _last_firing(cron: str, timezone: str, before: datetime) -> datetime | None:  # noqa: ARG001 - see below
    # The zone is part of the cache's key: one moment in two zones is equal, and not the same hour to a cron expression.
    from cronsim import CronSim  # noqa: PLC0415 - only where settings have freezes

    return next(CronSim(cron, before, reverse=True), None)


def section(fields: dict[str, Any], place: DocumentPath, problems: Problems) -> dict[str, Any]:  # noqa: ARG001 - as below
    """Return a control's section; report overrides that contradict each other, where they are right otherwise."""
    sound = [each for each in fields.get("overrides", ()) if not problems.within(each.where)]
    report_overlaps(sound, problems)
    return fields


def override(fields: dict[str, Any], place: DocumentPath, problems: Problems) -> Override:  # noqa: ARG001 - as below
    """Return an override of its parts."""
    return Override(_selector(fields), {name: fields[name] for name in GIVEN if name in fields}, place)


def exemption(fields: dict[str, Any], place: DocumentPath, problems: Problems) -> Exemption:  # noqa: ARG001 - as below
    """Return an exemption of its parts."""
    return Exemption(
        controls=tuple(fields.get("controls", ())),
        selector=_selector(fields),
        reason=fields.get("reason", ""),
        approver=fields.get("approver", ""),
        expires=fields.get("expires", date.max),
        where=place,
    )


def freeze(fields: dict[str, Any], place: DocumentPath, problems: Problems) -> Freeze:
    """Return a freeze of its parts; report a time zone or a cron expression that does not exist."""
    timezone, cron = fields.get("timezone", "UTC"), fields.get("cron", "")
    zone = _zone(timezone)
    if zone is None:
        problems.add(place / "timezone", f"{timezone!r} is not a time zone", "write one like Europe/Madrid")
    wrong = _cron_problem(cron, zone or UTC) if "cron" in fields else ""
    if wrong:
        problems.add(place / "cron", f"{cron!r} {wrong}", "write minute hour day month weekday")
    controls = tuple(fields.get("controls", ("*",)))
    return Freeze(fields.get("name") or str(place), cron, fields.get("hours", 0), timezone, controls, place)


def _zone(name: str) -> tzinfo | None:
    """Return a time zone, or None where there is none of that name."""
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError  # noqa: PLC0415 - as cronsim above

    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: a folder's name, or one too long
        return None


def _cron_problem(cron: str, zone: tzinfo) -> str:
    """Return what is wrong with a cron expression, or nothing."""
    from cronsim import CronSim, CronSimError  # noqa: PLC0415 - only where settings have freezes

    try:
        return "" if next(CronSim(cron, datetime(2026, 1, 1, tzinfo=zone)), None) else "never fires"
    except CronSimError as error:
        return f"is not a cron expression: {error}"


def report_overlaps(overrides: Sequence[Override], problems: Problems) -> None:
    """Report each override that could hold for a resource of an earlier one of its rank and gives another value."""
    for number, two in enumerate(overrides):
        for one in overrides[:number]:
            same_rank = one.selector.specificity == two.selector.specificity
            disputed = sorted(name for name in one.given if name in two.given and one.given[name] != two.given[name])
            if same_rank and disputed and one.selector.may_overlap(two.selector):
                problems.add(
                    two.where,
                    f"can apply to the same resource as {one.where} and gives another value for {disputed[0]}",
                    "make one of them more specific, or their accounts, regions or tags disjoint",
                )
                break


def _selector(fields: Mapping[str, Any]) -> Selector:
    """Return the selector in the parts of a rule."""
    tags = tuple((key, tuple(values)) for key, values in sorted(fields.get("tags", {}).items()))
    resources, accounts, regions = (tuple(fields.get(name, ())) for name in ("resources", "accounts", "regions"))
    return Selector(resources, accounts, regions, tags)
