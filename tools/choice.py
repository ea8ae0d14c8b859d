"""The parameter that chooses groups, and what depends on it: conditions, the clerk's queues and rules, outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tools.cfn import Fn, arn_of, ref, when
from tools.names import condition, stem

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tools.group_resources import Resources


def enabled(group: str) -> Fn:
    """Return the condition's body: the parameter is ``all`` or its comma list names the group.

    CloudFormation cannot ask whether a list contains a value. One that does changes when split at it and joined again.
    """
    listed = Fn("Join", ["", [",", ref("EnabledGroups"), ","]])
    without = Fn("Join", ["", Fn("Split", [f",{group},", listed])])
    named = Fn("Not", [Fn("Equals", [without, listed])])
    return Fn("Or", [Fn("Equals", [ref("EnabledGroups"), "all"]), named])


def parameters(groups: Sequence[str]) -> dict[str, Any]:
    """Return the parameter that chooses groups; its pattern refuses a name that is none."""
    name = f"({'|'.join(groups)})"
    return {
        "EnabledGroups": {
            "Type": "String",
            "Default": "all",
            "AllowedPattern": f"^(all|{name}(,{name})*)$",
            "ConstraintDescription": f'"all", or a comma list without spaces of {", ".join(groups)}',
            "Description": 'Which groups of controls to deploy - "all" or a comma list.',
        },
    }


def queue_arns(groups: Sequence[str]) -> dict[str, Any]:
    """Return the resources of the clerk's grant: the queues of the enabled groups."""
    return {"Resource": [when(condition(group), arn_of(f"{stem(group)}Queue")) for group in groups]}


def queue_urls(groups: Sequence[str]) -> dict[str, Any]:
    """Return the clerk's variable: a JSON object of group → queue URL, of the enabled groups."""
    members = [when(condition(group), Fn("Sub", f'"{group}": "${{{stem(group)}Queue}}"')) for group in groups]
    return {"EVENKEEL_QUEUE_URLS": Fn("Sub", ["{${urls}}", {"urls": Fn("Join", [", ", members])}])}


def rules(resources: Mapping[str, Resources]) -> dict[str, Any]:
    """Return the clerk's variable: the rules' names after ``<stack>-``, with commas between, of the enabled groups.

    They are written out, for Lambda has 4 KB for all variables. So nothing would make CloudFormation finish a group's
    rules before the clerk looks for them: the queue's policy, which names them all, stands behind them and is left out.
    """
    members = [
        when(condition(group), Fn("Select", [0, [_names(members), ref(f"{stem(group)}QueuePolicy")]]))
        for group, members in resources.items()
    ]
    return {"EVENKEEL_RULES": Fn("Join", [",", members])}


def _names(resources: Resources) -> str:
    names = [body["Properties"]["Name"].value for body in resources.values() if body["Type"] == "AWS::Events::Rule"]
    return ",".join(name.removeprefix("${AWS::StackName}-") for name in names)


def outputs(group: str) -> dict[str, Any]:
    """Return what other tools need to know of a group."""
    name = stem(group)
    values = {
        "FunctionName": (f"Function of the {group} controls", ref(f"{name}Function")),
        "FunctionArn": (f"ARN of the function of the {group} controls", arn_of(f"{name}Function")),
        "RoleArn": (f"Role of the {group} controls", arn_of(f"{name}Role")),
        "QueueUrl": (f"Queue of the {group} controls", ref(f"{name}Queue")),
        "QueueArn": (f"ARN of the queue of the {group} controls", arn_of(f"{name}Queue")),
        "SourceId": (f"Event source mapping that feeds the {group} function; pause disables it", ref(f"{name}Source")),
    }
    return {
        f"{name}{suffix}": {"Condition": condition(group), "Description": text, "Value": value}
        for suffix, (text, value) in values.items()
    }
