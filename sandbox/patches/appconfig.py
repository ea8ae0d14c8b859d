"""AppConfig's data calls need permission and keep their interval; deployments ask their validators.

The engine lets anyone read a configuration at any rate, and deploys any document. Its deployments grow, bake and are
rolled back by the environment's alarms as on AWS; the sandbox's options set how long their minutes last. If they take
no time, a deployment is COMPLETE as soon as it has started, and no alarm can roll it back.

AppConfig's answer where nothing is deployed is not documented. Here the deployment is the missing resource: it is one
of the types in the data calls' ``ResourceNotFoundException`` (AppConfig Data API model). The unpatched engine serves an
empty body.

Source: the AppConfig user guide ("Understanding validators"), the AppConfig Data API reference, and the service
authorization reference of AppConfig.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import time
from typing import TYPE_CHECKING, Any

from sandbox.patches.hooks import Answer, module, wrap

if TYPE_CHECKING:
    from collections.abc import Callable

DEPLOYMENTS = re.compile(r"/applications/([^/]+)/environments/[^/]+/deployments")
PRINCIPAL = "appconfig.amazonaws.com"
SESSIONS = {("POST", "/configurationsessions"): "StartConfigurationSession",
            ("GET", "/configuration"): "GetLatestConfiguration"}  # fmt: skip
_not_before: dict[str, float] = {}
"""Token to the time from which it may be used."""


class InvalidConfigurationError(ValueError):
    """A validator refuses the document; the message is the validator's."""


def apply(minute_seconds: float) -> None:
    """Patch the engine's AppConfig; a minute of a deployment strategy lasts ``minute_seconds``."""
    service, actions = module("services.appconfig"), module("core.iam_actions")
    service._DEPLOYMENT_MINUTE_SECONDS = minute_seconds
    wrap(service, "handle_request", _handle)
    wrap(service, "_get_latest_configuration", _latest)
    wrap(actions, "extract_iam_action", _action)
    wrap(actions, "extract_resource_arn", _resource)


async def _handle(original: Callable[..., Any], *request: Any) -> Any:
    """Handle a request, after the validators if it starts a deployment; it is method, path, headers, body, query."""
    method, path, _, body, _ = request
    found = DEPLOYMENTS.fullmatch(path)
    if found and method == "POST":
        given = json.loads(body or b"{}")
        profile, version = given.get("ConfigurationProfileId", ""), given.get("ConfigurationVersion", "")
        try:
            await asyncio.to_thread(validate, found[1], profile, version)
        except InvalidConfigurationError as refusal:
            detail = {"Type": "LAMBDA", "Reason": str(refusal)}
            message = f"The configuration is not valid: {refusal}"
            return _refused(message, "InvalidConfiguration", {"InvalidConfiguration": [detail]})
    return await original(*request)


def validate(application: str, profile: str, version: str) -> None:
    """Run a profile's Lambda validators on a hosted version.

    Raises:
        InvalidConfigurationError: a validator refuses it, or may not be invoked.
    """
    service = module("services.appconfig")
    hosted = service._hosted_versions.get(f"{application}/{profile}/{version}")
    validators = service._config_profiles.get(f"{application}/{profile}", {}).get("Validators") or []
    for each in validators:
        if hosted and each["Type"] == "LAMBDA":
            content = hosted["Content"]
            event = {
                "applicationId": application,
                "configurationProfileId": profile,
                "configurationVersion": version,
                "content": base64.b64encode(content if isinstance(content, bytes) else content.encode()).decode(),
                "uri": "hosted",
            }
            _ask(each["Content"], event)


def _ask(function_arn: str, event: dict[str, Any]) -> None:
    """Invoke a validator as AppConfig; raise its error as the refusal."""
    lambdas = module("services.lambda_svc")
    function, _ = lambdas._get_func_record_for_qualifier(function_arn.partition(":function:")[2], None)
    if function is None or not _allowed(function_arn):
        raise InvalidConfigurationError(f"{function_arn} does not let {PRINCIPAL} invoke it")
    result = lambdas._execute_function(function, event)
    if result.get("error"):
        body = result.get("body")
        raise InvalidConfigurationError(body.get("errorMessage", "") if isinstance(body, dict) else str(body))


def _allowed(function_arn: str) -> bool:
    """Return whether a function's policy admits AppConfig, which is not known to name a source ARN or account."""
    evaluator, responses = module("core.iam_evaluator"), module("core.responses")
    found = module("services.lambda_svc").function_policy_for_arn(function_arn)
    account = responses.get_account_id()
    context = evaluator.EvalContext(
        principal_arn=PRINCIPAL,
        principal_type="Service",
        principal_account=account,
        action="lambda:InvokeFunction",
        resource_arn=function_arn,
        region=responses.get_region(),
    )
    policy = found[0] if found else None
    return bool(evaluator.evaluate_resource_policy(policy, context, service=PRINCIPAL).decision == "Allow")


def _latest(original: Callable[..., Any], token: str) -> Any:
    """Return the configuration, or a refusal: the interval has not passed, or nothing is deployed."""
    if _not_before.get(token, 0.0) > time.time():
        problem = {"ConfigurationToken": {"Problem": "PollIntervalNotSatisfied"}}
        message = "Request too early: the session's poll interval has not passed"
        return _refused(message, "InvalidParameters", {"InvalidParameters": problem})
    if _lacks_deployment(token):
        return _not_found("No deployment was found", "Deployment")
    status, headers, body = original(token)
    _not_before.pop(token, None)
    if "Next-Poll-Configuration-Token" in headers:
        wait = float(headers["Next-Poll-Interval-In-Seconds"])
        _not_before[headers["Next-Poll-Configuration-Token"]] = time.time() + wait
    return status, headers, body


def _lacks_deployment(token: str) -> bool:
    """Return whether no deployment reaches a session's environment."""
    service = module("services.appconfig")
    session = service._sessions.get(token)
    if not session:
        return False
    place = (session[f"{kind}Identifier"] for kind in ("Application", "Environment", "ConfigurationProfile"))
    return service._served_deployment(*place, session.get("SessionId", token)) is None


def _action(original: Callable[..., Any], *given: Any) -> Any:
    """Return the action of a data call; ``given`` is service, method, path, headers, body, query."""
    service, method, path = given[:3]
    known = SESSIONS.get((method, path)) if service.startswith("appconfig") else None
    return f"appconfig:{known}" if known else original(*given)


def _resource(original: Callable[..., Any], *given: Any) -> Any:
    """Return the ARN of a data call's configuration; ``given`` ends with region and account."""
    service, method, path, _, body, query, region, account = given
    if not service.startswith("appconfig") or (method, path) not in SESSIONS:
        return original(*given)
    store = module("services.appconfig")
    if method == "POST":
        session = json.loads(body or b"{}")
    else:
        token = query.get("configuration_token", "")
        session = store._sessions.get(token[0] if isinstance(token, list) else token) or {}
    application = store._resolve_application_id(session.get("ApplicationIdentifier", ""))
    environment = store._resolve_environment_id(application, session.get("EnvironmentIdentifier", ""))
    profile = store._resolve_configuration_profile_id(application, session.get("ConfigurationProfileIdentifier", ""))
    where = f"application/{application}/environment/{environment}/configuration/{profile}"
    return f"arn:aws:appconfig:{region}:{account}:{where}"


def _not_found(message: str, kind: str) -> Answer:
    headers = {"Content-Type": "application/json", "x-amzn-errortype": "ResourceNotFoundException"}
    return 404, headers, json.dumps({"Message": message, "ResourceType": kind}).encode()


def _refused(message: str, reason: str, details: dict[str, Any]) -> Answer:
    headers = {"Content-Type": "application/json", "x-amzn-errortype": "BadRequestException"}
    body = {"Message": message, "message": message, "Reason": reason, "Details": details}
    return 400, headers, json.dumps(body).encode()
