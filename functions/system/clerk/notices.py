"""Announces exemptions that end soon: once for each exemption and last day."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evenkeel import canonical
from evenkeel.audit import system_records
from evenkeel.audit.system_records import EXEMPTION, Note
from evenkeel.errors import SettingsError
from evenkeel.model import Cause, Outcome, Request, Resource
from evenkeel.plurals import plural
from evenkeel.runtime.telemetry import telemetry

if TYPE_CHECKING:
    from datetime import datetime

    from evenkeel.audit.ledger import Ledger
    from evenkeel.audit.record_types import EndedRecord
    from evenkeel.model import Place
    from evenkeel.runtime.environment import Environment
    from evenkeel.settings.rules import Exemption
    from evenkeel.settings.store import SettingsStore

logger, _ = telemetry()


def announce(
    store: SettingsStore, ledger: Ledger, environment: Environment, place: Place, now: datetime
) -> list[EndedRecord]:
    """Record each exemption of the live settings that ends soon, and return the new records.

    The exemption's controls need not be deployed. If the settings cannot be used, that is logged and counted, and the
    next round tries again.

    Raises:
        ClientError, LeaseHeldError: a table refused a call; the next round writes what is missing.
    """
    try:
        settings = store.load()
    except SettingsError as error:
        store.count(error)
        logger.error("no notices: settings cannot be used", reason=str(error))  # noqa: TRY400 - the message is enough
        return []
    written = []
    for exemption in settings.exemptions:
        if exemption.ends_soon(now):
            note = _note(exemption, settings.version, environment.settings_name, place, now)
            record = system_records.write_once(ledger, note, environment.retention_days, now)
            written += [record] if record else []
    return written


def _note(exemption: Exemption, version: str, settings_name: str, place: Place, now: datetime) -> Note:
    cause = Cause("clerk", event_name="exemption", event_time=now.isoformat())
    resource = Resource(arn(exemption, settings_name, place), place.account, place.region)
    days = (exemption.expires - now.date()).days
    left = "today" if not days else f"in {plural(days, 'day')}"
    return Note(
        EXEMPTION,
        Request(EXEMPTION.id, resource, cause),
        Outcome.EXPIRING,
        reason=f"{', '.join(exemption.controls)} on {exemption.selector.text}: {exemption.reason}"
        f" (approved by {exemption.approver})",
        detail=f"ends {left}; its last day is {exemption.expires} (UTC)",
        evidence=exemption.described(),
        settings_version=version,
    )


def arn(exemption: Exemption, settings_name: str, place: Place) -> str:
    """Return the id of an exemption and its last day, below the ARN of the settings.

    It does not depend on reason and approver, so correcting a typo there sends no new alert.
    """
    chosen = exemption.selector
    parts = (exemption.controls, chosen.resources, chosen.accounts)
    name = canonical.digest([[sorted(part) for part in parts], dict(chosen.tags), f"{exemption.expires}"])[:16]
    return f"{configuration(settings_name, place)}/exemption/{name}"


def configuration(settings_name: str, place: Place) -> str:
    """Return the ARN of the settings (service authorization reference, AWS AppConfig, ``configuration``)."""
    kinds = ("application", "environment", "configuration")
    path = "/".join(f"{kind}/{part}" for kind, part in zip(kinds, settings_name.split("/"), strict=True))
    return f"arn:{place.partition}:appconfig:{place.region}:{place.account}:{path}"
