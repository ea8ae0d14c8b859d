"""Makes Lambda functions for tests."""

from __future__ import annotations

import io
import zipfile

from tests.world import client


def function(name: str = "orders") -> str:
    """Make a Lambda function; return its ARN."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("orders.py", "def handler(event, context): ...")
    role = client("iam").create_role(RoleName=name, AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    made = client("lambda").create_function(
        FunctionName=name,
        Runtime="python3.13",
        Role=role,
        Handler="orders.handler",
        Code={"ZipFile": archive.getvalue()},
    )
    return made["FunctionArn"]


MAKERS = {"AWS::Lambda::Function": (function, "arn:aws:lambda:eu-west-1:123456789012:function:1")}
