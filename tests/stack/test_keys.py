"""Every producer and consumer of encrypted data, and the grant of a key that it needs.

No local engine checks these grants: where one is missing, AWS drops alarms and events without a word to us.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.stack.test_iam import listed, roles
from tools.rendering import ACCOUNT, PLACES, Stack

Statement = dict[str, Any]

KEY_PROPERTIES = {"KmsMasterKeyId", "KmsKeyId", "SSESpecification"}
ENVELOPE = {"kms:Decrypt", "kms:GenerateDataKey"}
"""What a producer needs: SQS and SNS encrypt under a data key (SQS developer guide, "Key management")."""
LOG_ACTIONS = ENVELOPE | {"kms:Encrypt", "kms:ReEncryptFrom", "kms:ReEncryptTo", "kms:GenerateDataKeyWithoutPlaintext"}


def statements(stack: Stack, key: str) -> list[Statement]:
    """Return a key's policy."""
    found: list[Statement] = stack.resources[key]["Properties"]["KeyPolicy"]["Statement"]
    return found


def of_service(stack: Stack, key: str, principal: str) -> list[Statement]:
    """Return a key's statements for a service principal."""
    return [it for it in statements(stack, key) if it["Principal"] == {"Service": principal}]


def via(stack: Stack, service: str) -> set[str]:
    """Return the values of kms:ViaService that a service may send in a partition."""
    return {f"{service}.{stack.place.region}.amazonaws.com", f"{service}.{stack.place.region}.{stack.place.suffix}"}


def services_of(statement: Statement) -> set[str]:
    """Return the services through which a statement applies."""
    found = statement.get("Condition", {}).get("StringEquals", {}).get("kms:ViaService", [])
    return set(listed(found))


def encrypted_with(stack: Stack, key: str) -> set[str]:
    """Return the logical ids of everything encrypted with a key."""
    return {
        name
        for name, body in stack.resources.items()
        if f"<{key}" in str({k: v for k, v in body.get("Properties", {}).items() if k in KEY_PROPERTIES})
    }


@pytest.mark.parametrize(
    ("producer", "kinds"),
    [
        ("cloudwatch.amazonaws.com", ("AWS::SNS::Topic",)),
        ("events.amazonaws.com", ("AWS::SQS::Queue",)),
    ],
)
def test_services_that_produce_are_admitted(anywhere: Stack, producer: str, kinds: tuple[str, ...]) -> None:
    """Fails when alarms could not reach the encrypted topic, or rules the encrypted queues."""
    targets = anywhere.of_type(*kinds)
    assert targets
    for name, properties in targets.items():
        key = properties["KmsMasterKeyId"].strip("<>").removesuffix(".Arn")
        (grant,) = of_service(anywhere, key, producer)
        assert set(grant["Action"]) >= ENVELOPE, name
        assert "Condition" not in grant, "EventBridge and CloudWatch are not known to send a condition's value to KMS"


def test_roles_that_produce_or_consume_are_admitted_twice(anywhere: Stack) -> None:
    """Fails when a function may use a queue, table, stream or topic but not the key behind it."""
    key_services = set().union(
        *(services_of(it) for it in statements(anywhere, "DataKey") if "kms:Decrypt" in it["Action"])
    )
    checked = 0
    for role in anywhere.of_type("AWS::IAM::Role"):
        own = [statement for name, statement in roles(anywhere) if name == role]
        used = {
            action.partition(":")[0]
            for statement in own
            for action in listed(statement["Action"])
            if "<" in str(statement["Resource"])
        } & {"dynamodb", "sqs", "sns"}
        if role.startswith("Settings"):
            assert not used, role
            continue
        (key_use,) = [statement for statement in own if statement["Resource"] == "<DataKey.Arn>"]
        assert set(key_use["Action"]) >= ENVELOPE
        for service in used:
            assert via(anywhere, service) <= services_of(key_use), role
            assert via(anywhere, service) <= key_services, role
            checked += 1
        assert services_of(key_use) == set().union(*(via(anywhere, service) for service in used)), role
    assert checked >= 2 * (len(anywhere.of_type("AWS::IAM::Role")) - 2)


def test_tables_may_keep_a_grant(anywhere: Stack) -> None:
    """Fails when DynamoDB could not keep its grant on the key and the tables would become unreadable."""
    (grant,) = [it for it in statements(anywhere, "DataKey") if it["Action"] == "kms:CreateGrant"]
    assert services_of(grant) == via(anywhere, "dynamodb")
    assert grant["Condition"]["Bool"] == {"kms:GrantIsForAWSResource": True}


def test_logs_may_encrypt_every_group_of_the_account_and_no_other(anywhere: Stack) -> None:
    """Fails when CloudWatch Logs could not encrypt our groups with the log key, or could another account's."""
    place = anywhere.place
    groups = f"arn:{place.partition}:logs:{place.region}:{ACCOUNT}:log-group:*"
    encrypt, describe = of_service(anywhere, "LogKey", f"logs.{place.region}.{place.suffix}")
    assert set(encrypt["Action"]) == LOG_ACTIONS
    assert encrypt["Condition"] == {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": groups}}
    assert describe["Action"] == "kms:DescribeKey"
    assert "Condition" not in describe, "DescribeKey carries no encryption context"


def test_writers_and_readers_of_logs_are_admitted_through_logs_only(anywhere: Stack) -> None:
    """Fails when the people whose group was encrypted would be cut off from it, or could use the key for other ends."""
    place = anywhere.place
    everyone = [it for it in statements(anywhere, "LogKey") if it["Principal"] == {"AWS": "*"}]
    use, describe = everyone
    assert set(use["Action"]) == LOG_ACTIONS
    assert use["Condition"]["ArnLike"] == {
        "kms:EncryptionContext:aws:logs:arn": f"arn:{place.partition}:logs:{place.region}:{ACCOUNT}:log-group:*",
    }
    assert describe["Action"] == "kms:DescribeKey"
    for statement in everyone:
        assert statement["Condition"]["StringEquals"]["kms:CallerAccount"] == ACCOUNT
        assert services_of(statement) == via(anywhere, "logs")


@pytest.mark.parametrize("key", ["DataKey", "LogKey"])
def test_administrators_cannot_use_the_key(stack: Stack, key: str) -> None:
    """Fails when administrators could decrypt outside the services, or nobody could administer the key."""
    root = {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
    bare = [it for it in statements(stack, key) if it["Principal"] == root and "Condition" not in it]
    assert len(bare) == 1
    actions = set(bare[0]["Action"])
    assert {"kms:PutKeyPolicy", "kms:ScheduleKeyDeletion", "kms:EnableKeyRotation"} <= actions
    assert not actions & (LOG_ACTIONS | {"kms:CreateGrant"})


@pytest.mark.parametrize("key", ["DataKey", "LogKey"])
def test_nobody_else_is_admitted(stack: Stack, key: str) -> None:
    """Fails when a key admits a principal that this file does not know."""
    known = {
        "DataKey": {"cloudwatch.amazonaws.com", "events.amazonaws.com"},
        "LogKey": {"logs.eu-west-1.amazonaws.com"},
    }
    services = {it["Principal"]["Service"] for it in statements(stack, key) if "Service" in it["Principal"]}
    principals = {it["Principal"]["AWS"] for it in statements(stack, key) if "AWS" in it["Principal"]}
    assert services == known[key]
    assert principals <= {f"arn:aws:iam::{ACCOUNT}:root", "*"}


def test_keys_rotate(stack: Stack) -> None:
    """Fails when Evenkeel's own keys do not keep what its first control asks of others."""
    keys = {name: key for name, key in stack.of_type("AWS::KMS::Key").items() if "KeySpec" not in key}
    assert set(keys) == {"DataKey", "LogKey"}
    assert all(key["EnableKeyRotation"] is True for key in keys.values())


def test_the_right_key_encrypts(stack: Stack) -> None:
    """Fails when something has no key, or log groups share one with Evenkeel's own data."""
    assert encrypted_with(stack, "LogKey") == set(stack.of_type("AWS::Logs::LogGroup"))
    data = stack.of_type("AWS::SQS::Queue", "AWS::SNS::Topic", "AWS::DynamoDB::Table")
    assert encrypted_with(stack, "DataKey") == set(data)


def test_no_key_depends_on_what_it_encrypts() -> None:
    """Fails when keys, log groups, roles and functions would wait for each other and the stack could not be created."""
    for place in PLACES:
        for name, key in Stack(place).of_type("AWS::KMS::Key").items():
            if "KeySpec" not in key:  # which encrypts
                assert "<" not in str(key), name
