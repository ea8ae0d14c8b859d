"""What the engine takes for the stack's own parts is what the templates name, no more and no less."""

from __future__ import annotations

from evenkeel import system_parts
from evenkeel.model import Place
from tools.names import stem
from tools.rendering import ACCOUNT, Stack

_NAMED = {
    "AWS::DynamoDB::Table": ("TableName", "dynamodb:{at}:table/"),
    "AWS::Events::EventBus": ("Name", "events:{at}:event-bus/"),
    "AWS::Events::Rule": ("Name", "events:{at}:rule/"),
    "AWS::IAM::Role": ("RoleName", "iam::{account}:role/evenkeel/"),
    "AWS::Lambda::Function": ("FunctionName", "lambda:{at}:function:"),
    "AWS::Logs::LogGroup": ("LogGroupName", "logs:{at}:log-group:"),
    "AWS::SNS::Topic": ("TopicName", "sns:{at}:"),
    "AWS::SQS::Queue": ("QueueName", "sqs:{at}:"),
}


def test_engine_knows_each_named_part_and_nothing_else(anywhere: Stack) -> None:
    """If this fails, a part that was added or renamed is changed like anybody's, or a stranger's is left weak."""
    whole, place = Stack(anywhere.place, parameters={"EnableUndo": "true"}), anywhere.place
    at = f"{place.region}:{ACCOUNT}"
    named = {
        f"arn:{place.partition}:{start.format(at=at, account=ACCOUNT)}{body[key]}"
        for type_, (key, start) in _NAMED.items()
        for body in whole.of_type(type_).values()
    }
    known = system_parts.arns(whole.name, Place(ACCOUNT, place.region, place.partition), frozenset())
    assert sorted(known) == sorted(named)


def test_each_group_is_handed_all_keys_of_the_stack(stack: Stack, group_names: list[str]) -> None:
    """If this fails, a group changes a key of Evenkeel's, whose id it does not know."""
    keys = {f"<{name}.Arn>" for name in stack.of_type("AWS::KMS::Key")}
    functions = stack.of_type("AWS::Lambda::Function")
    for group in group_names:
        variables = functions[f"{stem(group)}Function"]["Environment"]["Variables"]
        assert {variables[name] for name in system_parts.KEYS} == keys, group
