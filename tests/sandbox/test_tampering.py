"""Who may write the audit, and what is told of whoever does it wrongly, on the real stack with IAM enforced."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from evenkeel.audit import records
from evenkeel.runtime.dynamodb import wire
from sandbox.deploy.settings import push
from tests.sandbox.cli_stack import eventually
from tests.sandbox.trust_stack import Place, dev_key, evenkeels_roles, standing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    """The real stack, where keys are repaired and nothing is tagged."""
    with standing() as there:
        off = {"tagging-required-tags": {"mode": "off"}}
        push(there.sandbox, there.stack, {"schema_version": 1, "settle_seconds": 0, "controls": off})
        yield there


def _attempts(client: Any, table: str, record: dict[str, Any]) -> dict[str, Callable[[], Any]]:
    """Return the ways to change or remove a record that is there, but for a put."""
    key = wire({name: record[name] for name in ("resource", "record_id")})
    keys = [key["resource"], key["record_id"]]
    change: dict[str, Any] = {
        "TableName": table,
        "Key": key,
        "UpdateExpression": "SET reason = :x",
        "ExpressionAttributeValues": {":x": {"S": "nothing"}},
    }
    update = f"UPDATE \"{table}\" SET reason='nothing' WHERE resource=? AND record_id=?"  # noqa: S608 - the stack's own table
    delete = f'DELETE FROM "{table}" WHERE resource=? AND record_id=?'  # noqa: S608 - as above
    insert = f"INSERT INTO \"{table}\" VALUE {{'resource': ?, 'record_id': 'planted'}}"
    batch = client.batch_write_item
    return {
        "UpdateItem": lambda: client.update_item(**change),
        "DeleteItem": lambda: client.delete_item(TableName=table, Key=key),
        "BatchWriteItem put": lambda: batch(RequestItems={table: [{"PutRequest": {"Item": wire(record)}}]}),
        "BatchWriteItem delete": lambda: batch(RequestItems={table: [{"DeleteRequest": {"Key": key}}]}),
        "TransactWriteItems update": lambda: client.transact_write_items(TransactItems=[{"Update": change}]),
        "TransactWriteItems delete": lambda: client.transact_write_items(
            TransactItems=[{"Delete": {"TableName": table, "Key": key}}]
        ),
        "PartiQL update": lambda: client.execute_statement(Statement=update, Parameters=keys),
        "PartiQL delete": lambda: client.execute_statement(Statement=delete, Parameters=keys),
        "PartiQL insert": lambda: client.execute_statement(Statement=insert, Parameters=keys[:1]),
        "PartiQL batch": lambda: client.batch_execute_statement(Statements=[{"Statement": delete, "Parameters": keys}]),
        "PartiQL transaction": lambda: client.execute_transaction(
            TransactStatements=[{"Statement": update, "Parameters": keys}]
        ),
    }


def test_nobody_changes_or_removes_a_record(place: Place) -> None:
    """Who can run any function of the stack, or administers the account, could rewrite what Evenkeel did."""
    arn = dev_key(place)
    before, table = place.records(arn), place.stack.outputs["AuditTableName"]
    people: dict[str, Any] = {"root": None, "administrator": place.alice, **evenkeels_roles(place)}
    assert len(people) >= 8
    let_through = []
    for who, session in people.items():
        client = place.sandbox.client("dynamodb", session, retries={"total_max_attempts": 1})
        for how, attempt in _attempts(client, table, before[-1]).items():
            try:
                answer = attempt()
            except ClientError as error:
                if "AccessDenied" not in str(error):
                    let_through.append(f"{who}: {how}: {error}")
            else:
                errors = [each["Error"]["Code"] for each in answer.get("Responses", ()) if "Error" in each]
                if errors != ["AccessDenied"]:
                    let_through.append(f"{who}: {how}")
    assert let_through == []
    assert place.records(arn) == before
    assert place.chain_is_unbroken(arn)


def test_only_evenkeels_own_roles_put_and_an_overwriting_put_is_a_critical_alert(place: Place) -> None:
    """A record could be overwritten, which IAM cannot forbid those who write it, and nobody would be called."""
    arn = dev_key(place)
    record, table = place.records(arn)[-1], place.stack.outputs["AuditTableName"]
    forged = wire({**record, "reason": "nothing happened"})
    put: dict[str, Any] = {"TableName": table, "Item": forged}
    for session in (None, place.alice):
        client = place.sandbox.client("dynamodb", session)
        for attempt in (
            lambda: client.put_item(**put),  # noqa: B023 - called at once
            lambda: client.transact_write_items(TransactItems=[{"Put": put}]),  # noqa: B023 - as above
        ):
            with pytest.raises(ClientError, match="AccessDenied"):
                attempt()
    thief = next(session for name, session in evenkeels_roles(place).items() if "kms" in name.lower())
    place.alerts()
    place.sandbox.client("dynamodb", thief).put_item(**put)
    alert = eventually(
        lambda: [each for each in place.alerts() if record["record_id"] in each["Body"]], "the alert of tampering"
    )[0]
    assert "MODIFY of reason" in alert["Body"]
    attributes = {name: value["StringValue"] for name, value in alert["MessageAttributes"].items()}
    assert (attributes["kind"], attributes["severity"]) == ("Tampering", "CRITICAL")
    with pytest.raises(records.BrokenChainError, match="was changed after it was written"):
        place.chain_is_unbroken(arn)


def test_planted_record_that_fits_itself_is_a_critical_alert(place: Place) -> None:
    """Whoever gets hold of a role of ours could have people told that a weak resource was mended."""
    record = place.records(dev_key(place))[-1]
    kept = {name: value for name, value in record.items() if name not in {"hash", "previous"}}
    forged = records.seal({**kept, "record_id": records.new_id(datetime.now(UTC))}, record["hash"])
    thief = next(session for name, session in evenkeels_roles(place).items() if "kms" in name.lower())
    place.alerts()
    table = place.stack.outputs["AuditTableName"]
    place.sandbox.client("dynamodb", thief).put_item(TableName=table, Item=wire(forged))
    [alert] = eventually(
        lambda: [each for each in place.alerts() if forged["record_id"] in each["Body"]], "the alert of tampering"
    )
    assert alert["MessageAttributes"]["kind"]["StringValue"] == "Tampering"
