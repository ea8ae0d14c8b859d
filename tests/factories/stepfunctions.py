"""Makes state machines for tests."""

from __future__ import annotations

import json

from tests.world import client


def state_machine(name: str = "orders") -> str:
    """Make a state machine that does nothing, with a role of its own; return its ARN."""
    role = client("iam").create_role(RoleName=f"states-{name}", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    definition = {"StartAt": "Nothing", "States": {"Nothing": {"Type": "Pass", "End": True}}}
    made = client("stepfunctions").create_state_machine(name=name, definition=json.dumps(definition), roleArn=role)
    return made["stateMachineArn"]


MAKERS = {
    "AWS::StepFunctions::StateMachine": (state_machine, "arn:aws:states:eu-west-1:123456789012:stateMachine:1"),
}
