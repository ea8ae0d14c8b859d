"""The figures of an event in tools/cost/usage.toml are those that the engine has on a DynamoDB."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tests.factories import kms
from tests.world import client, request
from tools.cost.bill import usage

if TYPE_CHECKING:
    from tests.world import World

CONTROL = "kms-key-rotation"


def bytes_of(value: dict[str, Any]) -> int:
    """Return the size of a value in DynamoDB's form (developer guide, "DynamoDB item sizes and formats")."""
    ((kind, content),) = value.items()
    if kind == "M":
        return 3 + sum(1 + len(name) + bytes_of(member) for name, member in content.items())
    if kind == "L":
        return 3 + sum(1 + bytes_of(member) for member in content)
    return 1 if kind in {"BOOL", "NULL"} else len(str(content).encode())


def units(item: dict[str, Any]) -> int:
    """Return the write units of an item: one for each KB."""
    return math.ceil(sum(len(name) + bytes_of(value) for name, value in item.items()) / 1024)


def test_an_event_writes_what_is_counted(world: World) -> None:
    """If this fails, the engine writes more for an event, and the page still has the old price."""
    assert world.run(CONTROL, request(CONTROL, kms.key(), creates=True)).outcome == "REMEDIATED"
    writes = [made for made in world.wire.calls if made.service == "dynamodb"]
    assert [made.operation for made in writes] == ["UpdateItem", "TransactWriteItems", "TransactWriteItems"]
    (audit,) = {
        each["Put"]["TableName"] for made in writes[1:] for each in made.params["TransactItems"] if "Put" in each
    }
    (state,) = {
        each["Update"]["TableName"] for made in writes[1:] for each in made.params["TransactItems"] if "Update" in each
    }
    planned, outcome = sorted(
        client("dynamodb").scan(TableName=audit)["Items"], key=lambda item: item["record_id"]["S"]
    )
    item = max(client("dynamodb").scan(TableName=state)["Items"], key=units)
    transactions = 2 * (units(planned) + units(item)) + 2 * (units(outcome) + units(item))
    counter, by_day, due = 1, 1, 2  # the plan enters the index of what is due, and leaves it
    (counted,) = [each for each in usage()["event"] if each["price"] == "dynamodb_write"]
    assert transactions + counter + by_day + due <= counted["spread"] == counted["burst"]
    assert counted["spread"] - 6 <= transactions + counter + by_day + due, "no more than a third too much"


def test_a_burst_is_never_dearer() -> None:
    """If this fails, a figure stands in the wrong column."""
    assert all(0 < each["burst"] <= each["spread"] for each in usage()["event"])
