"""What the settings say of single resources: overrides, exemptions, freezes. What cannot be evaluated says no.

Each rule is checked when the document is read. Of a wrong one all mistakes are told, each with its place in the file.
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

    from evenkeel.settings.problems import Mistakes

SOON = timedelta(days=14)
"""An exemption that ends within this time is announced once."""
_LONGEST_FREEZE_HOURS = 31 * 24


@dataclass(frozen=True, slots=True)
class Subject:
    """The resource a rule is asked about. ``tags`` is None where they were not read."""

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
        """Say whether a subject is selected.

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
    def told(self) -> str:
        """What it selects, in one line for people."""
        tags = (f"{key}={'|'.join(values)}" for key, values in self.tags)
        return ", ".join((*self.resources, *self.accounts, *self.regions, *tags))

    def may_overlap(self, other: Selector) -> bool:
        """Say whether some resource could match both; ARN patterns are taken to overlap."""
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
    where: str


@dataclass(frozen=True, slots=True)
class Exemption:
    """An approved decision not to remediate some resources until a day (UTC) has passed."""

    controls: tuple[str, ...]
    selector: Selector
    reason: str
    approver: str
    expires: date
    where: str

    def covers(self, control: str) -> bool:
        """Say whether it is about a control."""
        return "*" in self.controls or control in self.controls

    def in_force(self, now: datetime) -> bool:
        """Say whether it has not expired; an expired one is as if absent."""
        return now.date() <= self.expires

    def ends_soon(self, now: datetime) -> bool:
        """Say whether it is time to tell people that it ends."""
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
    where: str

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


def override(raw: dict[str, Any], where: str, mistakes: Mistakes) -> Override:
    """Read one override."""
    parts = ("resources", "accounts", "regions", "tags")
    fields = mistakes.fields(raw, where, {*parts, "mode", "parameters", "blast_radius"})
    given: dict[str, Any] = {name: fields[name] for name in ("mode", "parameters", "blast_radius") if name in fields}
    whole = len(fields) == len(raw)
    if whole and not given:
        mistakes.tell(where, "changes nothing; give it a mode, parameters or a blast_radius")
    return Override(_selector(fields, where, parts, mistakes, whole=whole), given, where)


def exemption(raw: dict[str, Any], where: str, mistakes: Mistakes) -> Exemption:
    """Read one exemption; reason, approver and expiry are required."""
    parts = ("resources", "accounts", "tags")
    fields = mistakes.fields(raw, where, {*parts, "controls", "reason", "approver", "expires"})
    for name in ("reason", "approver"):
        if not isinstance(fields.get(name), str) or not fields[name].strip():
            mistakes.tell(f"{where}.{name}", "is required; write who approved it and why")
    expires, day = fields.get("expires"), date.max
    try:
        day = expires if type(expires) is date else datetime.strptime(str(expires), "%Y-%m-%d").date()  # noqa: DTZ007
    except ValueError:
        mistakes.tell(f"{where}.expires", f"{expires!r}; write the last day as YYYY-MM-DD")
    controls = mistakes.texts(fields.get("controls"), f"{where}.controls")
    selector = _selector(fields, where, parts, mistakes, whole=len(fields) == len(raw))
    return Exemption(controls, selector, str(fields.get("reason")), str(fields.get("approver")), day, where)


def freeze(raw: dict[str, Any], where: str, mistakes: Mistakes) -> Freeze:
    """Read one freeze."""
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError  # noqa: PLC0415 - as cronsim above

    fields = mistakes.fields(raw, where, {"name", "cron", "hours", "timezone", "controls"})
    hours = fields.get("hours")
    if type(hours) is not int or not 0 < hours <= _LONGEST_FREEZE_HOURS:
        mistakes.tell(f"{where}.hours", f"{hours!r}; write whole hours from 1 to {_LONGEST_FREEZE_HOURS}")
        hours = 0
    timezone, cron = str(fields.get("timezone", "UTC")), str(fields.get("cron", ""))
    try:
        zone: tzinfo = ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: a folder's name, or one too long
        mistakes.tell(f"{where}.timezone", f"{fields['timezone']!r} is no time zone; write one like Europe/Madrid")
        zone = UTC
    trouble = _cron_trouble(cron, zone)
    if trouble:
        mistakes.tell(f"{where}.cron", f"{cron!r}{trouble}; write minute hour day month weekday")
    controls = mistakes.texts(fields.get("controls", ["*"]), f"{where}.controls")
    return Freeze(str(fields.get("name") or where), cron, hours, timezone, controls, where)


def _cron_trouble(cron: str, zone: tzinfo) -> str:
    """Say what is wrong with a cron expression, after its quotation; empty if nothing is."""
    from cronsim import CronSim, CronSimError  # noqa: PLC0415 - only where settings have freezes

    try:
        return "" if next(CronSim(cron, datetime(2026, 1, 1, tzinfo=zone)), None) else " never fires"
    except CronSimError as error:
        return f": {error}"


def tell_overlaps(overrides: Sequence[Override], mistakes: Mistakes) -> None:
    """Tell each override that could hold for a resource of an earlier one of its rank and says something else."""
    for number, two in enumerate(overrides):
        for one in overrides[:number]:
            same_rank = one.selector.specificity == two.selector.specificity
            disputed = sorted(name for name in one.given if name in two.given and one.given[name] != two.given[name])
            if same_rank and disputed and one.selector.may_overlap(two.selector):
                mistakes.tell(
                    two.where,
                    f"may hold for the same resource as {one.where} and says another {disputed[0]}; "
                    "make one of them more specific, or their accounts, regions or tags disjoint",
                )
                break


def _selector(
    fields: Mapping[str, Any], where: str, known: Sequence[str], mistakes: Mistakes, *, whole: bool
) -> Selector:
    """Read the parts of a selector; ``known`` are those that such a rule may have.

    A rule that is not ``whole`` has an unknown key, which may be what it is for.
    """
    if whole and all(fields.get(name, {}) == {} for name in known):
        mistakes.tell(where, f"is for nothing; give it {', '.join(known[:-1])} or {known[-1]}")
    raw_tags = fields.get("tags", {})
    if not isinstance(raw_tags, dict):
        mistakes.tell(f"{where}.tags", "write a key and its value, or a list of values, a line")
        raw_tags = {}
    tags = tuple(
        (str(key), mistakes.texts([value] if isinstance(value, str) else value, f"{where}.tags.{key}"))
        for key, value in sorted(raw_tags.items())
    )
    parts = {
        name: mistakes.texts(fields[name], f"{where}.{name}") if name in fields else ()
        for name in ("resources", "accounts", "regions")
    }
    selector = Selector(**parts, tags=tags)
    for pattern in selector.resources:
        if not pattern.startswith(("*", "arn:")):
            told = f"{pattern!r} fits no ARN; write one from arn: on, or '*:{pattern}'"
            mistakes.tell(f"{where}.resources", told)
    for account in selector.accounts:
        if not (account.isdigit() and len(account) == 12):  # noqa: PLR2004 - an AWS account's id has 12 digits
            mistakes.tell(f"{where}.accounts", f"{account!r}; write an account's 12 digits in quotes")
    return selector
