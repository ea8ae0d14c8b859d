"""Makes state machines for tests."""

from __future__ import annotations

import json

from tests.world import client


def state_machine(name: str = "orders") -> str:
    """Make a state machine that does nothing; return its ARN."""
    definition = {"StartAt": "Nothing", "States": {"Nothing": {"Type": "Pass", "End": True}}}
    made = client("stepfunctions").create_state_machine(
        name=name, definition=json.dumps(definition), roleArn="arn:aws:iam::123456789012:role/orders"
    )
    return made["stateMachineArn"]


MAKERS = {
    "AWS::StepFunctions::StateMachine": (state_machine, "arn:aws:states:eu-west-1:123456789012:stateMachine:1"),
}
