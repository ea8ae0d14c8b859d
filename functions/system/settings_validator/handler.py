"""The Lambda function that AppConfig calls with a settings document before deploying it.

An answer accepts the document, an error refuses it. AppConfig shows the error's text to the person who pushed. The
checks are the engine's own, so the functions accept every document that is accepted here.

Source: the AppConfig user guide, "Understanding validators".
"""

from __future__ import annotations

import base64
import os
from typing import TYPE_CHECKING, Any

from evenkeel.control.registry import all_controls
from evenkeel.runtime.telemetry import telemetry
from evenkeel.settings import parser
from evenkeel.settings.problems import InvalidSettingsError

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger, _ = telemetry()


@logger.inject_lambda_context
def handler(event: dict[str, Any], _context: LambdaContext) -> None:
    """Check the document in ``event["content"]`` (base64).

    Raises:
        InvalidSettingsError: its text names each problem with its place and what to write.
    """
    version = event.get("configurationVersion", "")
    try:
        document = base64.b64decode(event["content"], validate=True)
        start_mode = os.environ.get("EVENKEEL_START_MODE", "recommended")
        checked = parser.check(document, tuple(all_controls().values()), start_mode)
    except InvalidSettingsError as error:
        logger.warning("refused", configuration_version=version, reason=str(error))
        raise
    logger.info("accepted", configuration_version=version, settings_version=checked.version)
