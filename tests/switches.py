"""CloudTrail's events of calls on a stack's own switches, by alice, with the field names that AWS documents.

Source of the event sources' names: Lambda developer guide, "Encrypting data at rest for Lambda", its example of
CreateEventSourceMapping20150331.
"""

from __future__ import annotations

from typing import Any

from tests.world import ACCOUNT, REGION, cloudtrail

FUNCTIONS = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:"


def switched(function: str, *, enabled: bool | None, **detail: Any) -> dict[str, Any]:
    """Return the event of an event source that is switched; ``enabled`` None changes something else of it."""
    asked = {"uUID": "00000000-0000-4000-8000-000000000009"} | ({} if enabled is None else {"enabled": enabled})
    answer = {"uUID": asked["uUID"], "functionArn": f"{FUNCTIONS}{function}", "state": "Updating"}
    return cloudtrail(
        "lambda.amazonaws.com",
        "UpdateEventSourceMapping20150331",
        **{"requestParameters": asked, "responseElements": answer, **detail},
    )


def deployed(application: str, name: str = "StartDeployment", **detail: Any) -> dict[str, Any]:
    """Return the event of a deployment of settings that is started or stopped."""
    asked: dict[str, Any] = {"applicationId": application, "environmentId": "env-1"}
    started = {"configurationProfileId": "profile-1", "configurationVersion": "3"}
    asked |= started if name == "StartDeployment" else {"deploymentNumber": 7}
    answer = {**asked, "deploymentNumber": 7}
    return cloudtrail(
        "appconfig.amazonaws.com", name, **{"requestParameters": asked, "responseElements": answer, **detail}
    )
