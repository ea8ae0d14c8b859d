"""The checkpoint file of ``evenkeel audit verify``, from which ``--resume`` continues an interrupted verification."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import typer

from evenkeel import clock
from evenkeel.versions import Document
from evenkeel_cli.audit.chains import Finding
from evenkeel_cli.audit.verifier import Progress
from evenkeel_cli.ui.failure import CommandError, Exit

GOOD_FOR = timedelta(days=1)
"""Age up to which a checkpoint can be resumed: records read before may have been changed since."""
KEEP_EVERY = timedelta(seconds=30)
CHECKPOINT = Document(
    "checkpoint", 1, "a file on the operator's machine", "evenkeel_cli.audit.checkpoint.Checkpoint.load", "begin anew"
)


class Checkpoint:
    """The checkpoint of one table."""

    def __init__(self, table: str, now: datetime) -> None:
        """Set the file's path; ``table`` is the audit table's ARN."""
        name = re.sub(r"[^A-Za-z0-9-]+", "-", table.partition(":dynamodb:")[2])
        self.path = Path(typer.get_app_dir("evenkeel")) / f"audit-verify-{name}.json"
        self._table = table
        self._now = now
        self._begun_at = now
        self._kept_at = now

    def load(self) -> Progress:
        """Return the saved progress.

        Raises:
            CommandError: there is nothing to resume.
        """
        try:
            kept: dict[str, Any] = json.loads(self.path.read_text(encoding="utf-8"))
            table, version = kept.pop("table"), kept.pop("schema_version")
            self._begun_at = datetime.fromisoformat(kept.pop("begun_at"))
            found = [Finding.of(each) for each in kept.pop("findings")]
            progress = Progress(**{**kept, "seen": set(kept["seen"]), "findings": found})
        except FileNotFoundError as error:
            raise _nothing("no verification of this stack was interrupted") from error
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise _nothing(f"{self.path} cannot be read ({error})") from error
        if table != self._table or not CHECKPOINT.reads(version):
            raise _nothing(f"{self.path} is for another table or version")
        if self._now - self._begun_at > GOOD_FOR:
            raise _nothing(f"the interrupted verification began {self._begun_at:%Y-%m-%d %H:%M} UTC, over a day ago")
        return progress

    def keep(self, progress: Progress) -> None:
        """Save the progress.

        Raises:
            CommandError: the file cannot be written.
        """
        body = {
            "schema_version": CHECKPOINT.version,
            "table": self._table,
            "begun_at": self._begun_at.isoformat(),
            **asdict(progress),
            "seen": sorted(progress.seen),
            "findings": [each.described() for each in progress.findings],
        }
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            new = self.path.with_suffix(".new")
            new.write_text(json.dumps(body), encoding="utf-8")
            new.replace(self.path)
        except OSError as error:
            message = f"cannot save the verification's progress: {error}"
            raise CommandError(message, "Make the directory writable, then run the command again.") from error

    def keep_now_and_then(self, progress: Progress) -> None:
        """Save the progress if the last save was a while ago."""
        now = clock.now()
        if now - self._kept_at >= KEEP_EVERY:
            self._kept_at = now
            self.keep(progress)

    def forget(self) -> None:
        """Remove the file: the verification is done."""
        self.path.unlink(missing_ok=True)


def _nothing(why: str) -> CommandError:
    return CommandError(f"nothing to resume: {why}", "Run the command without --resume.", Exit.USAGE)
