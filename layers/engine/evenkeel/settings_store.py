"""Where the settings document lives, and how long a copy of it may be trusted."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from evenkeel import settings
from evenkeel.errors import SettingsUnreadError
from evenkeel.telemetry import count_for_stack, telemetry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from aws_lambda_powertools.utilities.parameters import AppConfigProvider

    from evenkeel.aws import Aws
    from evenkeel.control import Control
    from evenkeel.environment import Environment
    from evenkeel.errors import SettingsError
    from evenkeel.settings import Settings

logger, _ = telemetry()

CACHE_SECONDS = 60
"""How long a document is good without asking AppConfig again."""
POLL_SECONDS = 30
"""The least seconds between two polls that a session asks for. AppConfig refuses an earlier poll; half of the cache's
time leaves room for clocks that jump."""
TRUST = timedelta(minutes=5)
"""How long the last good document serves while AppConfig does not answer; then nothing is changed any more."""
REST = timedelta(seconds=15)
"""How long AppConfig is left alone after it did not answer, however many messages come."""


class SettingsStore:
    """Reads the settings for one worker, at most once a minute, through Powertools' cache.

    ``changes`` counts the documents seen, good and bad: it tells a document pushed again from one still in force.
    """

    def __init__(
        self, aws: Aws, environment: Environment, clock: Callable[[], datetime], controls: Iterable[Control] = ()
    ) -> None:
        """Reach AppConfig at the first :meth:`load`; ``controls`` are those whose modes without effect are logged."""
        self._controls = tuple(controls)
        self._aws = aws
        self._environment = environment
        self._clock = clock
        self._provider: AppConfigProvider | None = None
        self._document = b""
        self._good: Settings | None = None
        self._good_until = self._rests_until = datetime.min.replace(tzinfo=clock().tzinfo)
        self._failure = ""
        self._refusals: set[tuple[int, str]] = set()
        self.changes = 0

    def load(self) -> Settings:
        """Return the settings in force.

        Raises:
            SettingsUnreadError: they are out of reach for longer than the last good ones are trusted.
            SettingsError: they are not valid. In either case nothing may be changed; the messages wait.
        """
        try:
            document = self._read()
        except SettingsUnreadError:
            if self._good and self._clock() < self._good_until:
                return self._good
            raise
        if document != self._document:
            self._document, self._good = document, None
            self.changes += 1
        if self._good is None:
            self._good = settings.parse(document, self._environment.start_mode)
            for where, told in self._good.without_effect(self._controls):
                logger.warning("a mode counts as notify", where=where, reason=told)
        self._good_until = self._clock() + TRUST
        return self._good

    def count(self, error: SettingsError) -> None:
        """Count settings that this worker cannot use: unread ones each time, refused ones once a document.

        AppConfig takes a push back when the count of refusals rises. Counting the same refusal again and again would
        keep its alarm up, and AppConfig would take back the mended document, too.
        """
        refusal = (self.changes, str(error))
        if isinstance(error, SettingsUnreadError):
            count_for_stack("settings", "SettingsUnread")
        elif refusal not in self._refusals:
            self._refusals.add(refusal)
            count_for_stack("settings", "SettingsRefused")

    def _read(self) -> bytes:
        """Return the document from the cache or from AppConfig.

        A token is good for one call within a day and not before its interval has passed, and a call that failed may
        have used it up. So after a failure the session is given up; a new one has neither past nor interval.
        """
        if self._clock() < self._rests_until:
            raise SettingsUnreadError(self._failure)
        from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError  # noqa: PLC0415 - as below

        resumed = self._provider is not None
        try:
            return self._poll()
        except GetParameterError as error:
            failure = error
        self._provider = None
        if resumed:
            try:
                return self._poll()
            except GetParameterError as error:
                self._provider, failure = None, error
        nothing = isinstance(failure.__context__, KeyError)  # Powertools looks for a document that never came
        told = "no document is deployed there" if nothing else str(failure)
        self._failure = f"AppConfig {self._environment.settings_name} cannot be read: {told}"
        self._rests_until = self._clock() + REST
        raise SettingsUnreadError(self._failure) from failure

    def _poll(self) -> bytes:
        """Ask Powertools for the document, in the session at hand or a new one."""
        application, environment, profile = self._names()
        if self._provider is None:
            from aws_lambda_powertools.utilities.parameters import AppConfigProvider  # noqa: PLC0415 - only where used

            client = self._aws.client("appconfigdata")
            self._provider = AppConfigProvider(environment, application, boto3_client=client)
        found = self._provider.get(profile, max_age=CACHE_SECONDS, RequiredMinimumPollIntervalInSeconds=POLL_SECONDS)
        return found if isinstance(found, bytes) else str(found).encode()

    def _names(self) -> tuple[str, str, str]:
        """Return the ids of application, environment and profile."""
        parts = self._environment.settings_name.split("/")
        if len(parts) != 3:  # noqa: PLR2004 - application/environment/profile
            raise SettingsUnreadError(
                f"EVENKEEL_SETTINGS: {self._environment.settings_name!r} is not application/environment/profile;"
                " deploy the stack again"
            )
        application, environment, profile = parts
        return application, environment, profile
