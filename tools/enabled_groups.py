"""The parameter that chooses groups, and what depends on it in the root: conditions, nested stacks, their list."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from evenkeel import names
from tools.cfn import Fn, ref, when
from tools.group_template import PARAMETERS
from tools.names import condition, nested_stack

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from evenkeel.control import Control


def enabled(group: str) -> Fn:
    """Return the condition's body: the parameter is ``all`` or its comma list names the group.

    CloudFormation cannot ask whether a list contains a value. One that does changes when split at it and joined again.
    """
    listed = Fn("Join", ["", [",", ref("EnabledGroups"), ","]])
    without = Fn("Join", ["", Fn("Split", [f",{group},", listed])])
    named = Fn("Not", [Fn("Equals", [without, listed])])
    return Fn("Or", [Fn("Equals", [ref("EnabledGroups"), "all"]), named])


def parameters(groups: Sequence[str]) -> dict[str, Any]:
    """Return the parameter that chooses groups; its pattern refuses unknown names."""
    name = f"({'|'.join(groups)})"
    return {
        "EnabledGroups": {
            "Type": "String",
            "Default": "all",
            "AllowedPattern": f"^(all|{name}(,{name})*)$",
            "ConstraintDescription": f'"all", or a comma list without spaces of {", ".join(groups)}',
            "Description": 'The groups of controls to deploy - "all", or names separated by commas.',
        },
    }


def deployed(groups: Sequence[str]) -> Fn:
    """Return the names of the groups that are deployed, with commas between, once CloudFormation is done with them.

    The clerk looks up each group's rules by name, so they must exist first: the unselected value refers to their stack.
    """
    done = {group: Fn("Select", [0, [group, ref(nested_stack(group))]]) for group in groups}
    return Fn("Join", [",", [when(condition(group), name) for group, name in done.items()]])


def queue_arns(groups: Sequence[str]) -> dict[str, Any]:
    """Return the resources of the clerk's grant: the queues of all groups."""
    start = "arn:${AWS::Partition}:sqs:${AWS::Region}:${AWS::AccountId}:"
    return {"Resource": [Fn("Sub", start + names.queue("${AWS::StackName}", group)) for group in groups]}


def nested(groups: Mapping[str, Sequence[Control]]) -> dict[str, Any]:
    """Return the nested stack of each group, by logical id."""
    tags = {key: ref(key) for key in ("Project", "Environment", "Owner", "CostCenter")}
    return {
        nested_stack(group): {
            "Type": "AWS::Serverless::Application",
            "Condition": condition(group),
            "Properties": {"Location": str(path(controls)), "Parameters": PARAMETERS, "Tags": tags},
        }
        for group, controls in groups.items()
    }


def path(controls: Sequence[Control]) -> Path:
    """Return the path of a group's template below the repository's root."""
    return Path("functions", "controls", type(controls[0]).__module__.partition(".")[0], "template.yaml")
