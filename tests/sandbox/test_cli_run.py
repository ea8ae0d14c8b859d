"""The command that brings existing resources in line by hand, on the real stack with IAM enforced."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from evenkeel_cli.local import local_stack
from sandbox.deploy.settings import push
from tests.sandbox.cli_stack import CONTROL, Place, standing

if TYPE_CHECKING:
    from collections.abc import Iterator

KEYS = 30


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    """The real stack, paused, which may change one key more than there are at first; and a person who runs it.

    The person may do what docs/cli.md says that the command needs, and no more.
    """
    with standing() as there:
        assert there.run("pause").exit_code == 0
        document = local_stack.settings()
        document["controls"][CONTROL]["blast_radius"] = {"limit": KEYS + 1, "window_seconds": 3600}
        push(there.sandbox, there.stack, document)
        function = f"arn:aws:lambda:*:*:function:{there.stack.resources['KmsFunction']}"
        allowed = {
            "Version": "2012-10-17",
            "Statement": [
                {"Effect": "Allow", "Action": "cloudformation:DescribeStacks", "Resource": "*"},
                {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": function},
            ],
        }
        credentials: Any = there.sandbox.create_user("runner", allowed).get_credentials()
        runner = {"AWS_ACCESS_KEY_ID": credentials.access_key, "AWS_SECRET_ACCESS_KEY": credentials.secret_key}
        yield replace(there, operator={**there.operator, **runner})


def keys(place: Place, number: int) -> list[str]:
    """Make keys that do not rotate; nothing repairs them while the stack is paused."""
    kms = place.sandbox.client("kms", place.sandbox.admin())
    return [kms.create_key()["KeyMetadata"]["Arn"] for _ in range(number)]


def test_existing_keys_are_brought_in_line_until_the_blast_radius_is_reached(place: Place) -> None:
    """If this fails, old resources stay as they are, a dry run changes them, or a held run is taken for done."""
    made = keys(place, KEYS)
    looked = place.ask("run", CONTROL, "--all")
    assert {each["resource"] for each in looked["results"] if each["outcome"] == "WOULD_APPLY"} == set(made)
    assert (looked["dry_run"], looked["counts"]["WOULD_APPLY"], looked["next"]) == (True, KEYS, None)
    assert not any(place.rotates(arn) for arn in made)

    few = place.ask("run", CONTROL, "--resource", made[0], "--resource", made[1], "--apply", "--yes")
    assert few["counts"] == {"REMEDIATED": 2}
    assert [place.rotates(arn) for arn in made[:3]] == [True, True, False]

    shown = place.run("run", CONTROL, "--all", "--apply", "--yes")
    assert shown.exit_code == 0, shown.stderr
    assert f"{KEYS - 2} REMEDIATED" in shown.stdout
    assert all(place.rotates(arn) for arn in made)
    assert set(place.ask("run", CONTROL, "--all")["counts"]) <= {"COMPLIANT", "NOT_APPLICABLE"}

    keys(place, 3)
    held = place.run("run", CONTROL, "--all", "--apply", "--yes")
    assert held.exit_code == 1
    assert "2 resources not repaired: 2 HELD" in held.stderr
    assert f"evenkeel release {CONTROL} --stack {place.stack.name}" in held.stderr
    again = place.run("run", CONTROL, "--all", "--apply", "--yes")
    assert (again.exit_code, "2 resources not repaired: 2 HELD" in again.stderr) == (1, True)


def test_whoever_may_not_invoke_is_told(place: Place) -> None:
    """If this fails, somebody without the permission sees a traceback."""
    result = place.run("run", "s3-versioning", "--all")
    assert (result.exit_code, "access denied by AWS at Invoke" in result.stderr) == (1, True)


def test_a_resource_of_another_type_is_refused(place: Place) -> None:
    """If this fails, a wrong ARN is looked at, or ends in a traceback."""
    result = place.run("run", CONTROL, "--resource", "arn:aws:s3:::shop", "-o", "json")
    assert result.exit_code == 2
    assert "'arn:aws:s3:::shop' is not an AWS::KMS::Key" in json.loads(result.stderr)["error"]["message"]
