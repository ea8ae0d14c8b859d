"""Reads the settings document from AppConfig: how long a copy is trusted, and when the empty document is used.

The empty document is used only while this stack has never loaded one (:mod:`evenkeel.settings.loaded_mark`). After
that, a missing document counts as unread: somebody deleted or reverted a deployment, and what it forbade must not
happen.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from evenkeel.errors import SettingsUnreadError, code
from evenkeel.runtime.telemetry import count_for_stack, telemetry
from evenkeel.settings import parser
from evenkeel.settings.loaded_mark import SettingsMark

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from aws_lambda_powertools.utilities.parameters import AppConfigProvider

    from evenkeel.control import Control
    from evenkeel.errors import SettingsError
    from evenkeel.runtime.aws import Aws
    from evenkeel.runtime.environment import Environment
    from evenkeel.settings.parser import Settings

    _Read = tuple[bytes, bool]
    """A document, and whether AppConfig served it: the empty one holds without."""

logger, _ = telemetry()

CACHE_SECONDS = 60
"""How long a document is good without asking AppConfig again."""
POLL_SECONDS = 30
"""The least seconds between two polls that a session asks for. AppConfig refuses an earlier poll; half of the cache's
time leaves room for clocks that jump."""
TRUST = timedelta(minutes=5)
"""How long the last valid document is used while AppConfig does not answer. After that, nothing is changed."""
REST = timedelta(seconds=15)
"""How long AppConfig and the mark are not asked again after they did not answer."""
_EMPTY = parser.EMPTY_DOCUMENT.encode(), False
_NOTHING_DEPLOYED = frozenset({"Deployment", "Configuration"})
"""Types of resource that are missing where nothing is deployed. The others (application, environment, profile) are the
stack's own: without one of them it is broken (AppConfig Data API model, ``ResourceNotFoundException.ResourceType``)."""


class SettingsStore:
    """Reads the settings for one worker, at most once a minute, through Powertools' cache.

    ``changes`` counts the documents seen, valid or not: a document that is pushed again counts again.
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
        self._document: _Read | None = None
        self._good: Settings | None = None
        self._good_until = self._rests_until = self._empty_until = datetime.min.replace(tzinfo=clock().tzinfo)
        self._mark = SettingsMark(aws, environment.state_table)
        self._marked = False
        self._failure = ""
        self._refusals: set[tuple[int, str]] = set()
        self.changes = 0

    def load(self) -> Settings:
        """Return the settings in force.

        Raises:
            SettingsUnreadError: they are out of reach for longer than the last good ones are trusted; or none are
                deployed though this stack has loaded some before; or the mark of that cannot be read or set.
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
            content, served = document
            good = parser.parse(content, self._environment.start_mode)
            if served:
                self._set_mark(good.version)
            self._good = good
            for problem in good.without_effect(self._controls):
                logger.warning("a mode counts as notify", where=str(problem.place), reason=problem.message)
        self._good_until = self._clock() + TRUST
        return self._good

    def count(self, error: SettingsError) -> None:
        """Count settings that this worker cannot use: unread ones each time, refused ones once a document.

        AppConfig rolls a push back when the count of refusals rises. Counting the same refusal again and again would
        keep its alarm up, and AppConfig would roll back the fixed document, too.
        """
        refusal = (self.changes, str(error))
        if isinstance(error, SettingsUnreadError):
            count_for_stack("settings", "SettingsUnread")
        elif refusal not in self._refusals:
            self._refusals.add(refusal)
            count_for_stack("settings", "SettingsRefused")

    def _read(self) -> _Read:
        """Return the document from the cache or from AppConfig, or the empty one where there never was one.

        A token is good for one call within a day and not before its interval has passed, and a call that failed may
        have used it up. So after a failure the session is given up; a new one has neither past nor interval.
        """
        if self._clock() < self._rests_until:
            raise SettingsUnreadError(self._failure)
        if self._clock() < self._empty_until:
            return _EMPTY
        from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError  # noqa: PLC0415 - as below

        resumed = self._provider is not None
        try:
            return self._poll(), True
        except GetParameterError as error:
            failure = error
        self._provider = None
        if resumed:
            try:
                return self._poll(), True
            except GetParameterError as error:
                self._provider, failure = None, error
        if _is_nothing_deployed(failure.__context__, self._names()[2]):
            return self._empty()
        raise self._unread(str(failure)) from failure

    def _unread(self, why: str) -> SettingsUnreadError:
        """Return the error of settings that cannot be had; nothing is asked again for a while."""
        self._failure = f"AppConfig {self._environment.settings_name} cannot be read: {why}"
        self._rests_until = self._clock() + REST
        return SettingsUnreadError(self._failure)

    def _empty(self) -> _Read:
        """Return the empty document, good for as long as any other, if this stack never loaded one.

        Raises:
            SettingsUnreadError: it has, or the state table does not say.
        """
        try:
            self._marked = self._marked or self._mark.is_set()
        except (ClientError, BotoCoreError) as error:
            why = f"no document is deployed there, and the state table does not say whether one ever was: {error}"
            raise self._unread(why) from error
        if self._marked:
            if self._document == _EMPTY:  # it held here until another worker loaded the first document
                self._good = None
            raise self._unread("no document is deployed there, and this stack has loaded one before; push it again")
        if self._document != _EMPTY:
            logger.info("no settings were ever loaded: the empty document holds", mode=self._environment.start_mode)
        self._empty_until = self._clock() + timedelta(seconds=CACHE_SECONDS)
        return _EMPTY

    def _set_mark(self, version: str) -> None:
        """Set the mark, once a worker, that this stack has loaded a document.

        Raises:
            SettingsUnreadError: the mark cannot be set. Then the document is not used either: if it went missing
                later, the empty document would be used in spite of every ``off`` in it.
        """
        if self._marked:
            return
        try:
            self._mark.set(version, self._clock())
        except (ClientError, BotoCoreError) as error:
            raise self._unread(
                f"the mark that a document was loaded cannot be written to the state table: {error}"
            ) from error
        self._marked = True

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


def _is_nothing_deployed(cause: BaseException | None, profile: str) -> bool:
    """Return whether a failed read means that nothing is deployed, and nothing else.

    AWS does not document its answer then, so each that can mean it counts: a session that begins with an empty body
    (Powertools then misses a document under the profile's name), and a missing deployment or configuration. Where AWS
    does not name the type, the session found application, environment and profile, so it is none of these.
    """
    if isinstance(cause, KeyError):
        return cause.args == (profile,)
    if not isinstance(cause, ClientError) or code(cause) != "ResourceNotFoundException":
        return False
    missing = cause.response.get("ResourceType")
    return missing in _NOTHING_DEPLOYED or (not missing and cause.operation_name == "GetLatestConfiguration")
