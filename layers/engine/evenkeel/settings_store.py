"""Where the settings document lives, and how long a copy of it may be trusted."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from evenkeel import settings
from evenkeel.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from evenkeel.aws import Aws
    from evenkeel.settings import Environment, Settings

CACHE_SECONDS = 60
"""How long a document is good without reading it again."""
TRUST = timedelta(minutes=5)
"""How long the last good document serves while the store does not answer; then nothing is changed any more."""


class SettingsStore:
    """Reads the settings for one worker, at most once a minute, through Powertools' cache."""

    def __init__(self, aws: Aws, environment: Environment, clock: Callable[[], datetime]) -> None:
        """Reach the store at the first :meth:`load`."""
        from aws_lambda_powertools.utilities.parameters import SSMProvider  # noqa: PLC0415 - only where it is used

        self._provider = SSMProvider(boto3_client=aws.client("ssm"))
        self._environment = environment
        self._clock = clock
        self._good: Settings | None = None
        self._good_until = datetime.min.replace(tzinfo=clock().tzinfo)

    def load(self) -> Settings:
        """Return the settings in force.

        Raises:
            SettingsError: they cannot be read, or are not valid. Nothing may be changed then; the messages wait.
        """
        from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError  # noqa: PLC0415 - as above

        name = self._environment.settings_name
        try:
            document = self._provider.get(name, max_age=CACHE_SECONDS)
        except GetParameterError as error:
            if self._good and self._clock() < self._good_until:
                return self._good
            raise SettingsError(f"{name} cannot be read: {error}") from error
        if self._good is None or self._good.document != document:
            self._good = settings.parse(str(document), self._environment.start_mode)
        self._good_until = self._clock() + TRUST
        return self._good
