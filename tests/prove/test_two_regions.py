"""One account, two regions, stacks of the same name: they share nothing, and each does its own work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from evenkeel.runtime.dynamodb import unwire
from evenkeel_cli.local import local_stack
from sandbox.client import Sandbox
from sandbox.deploy.deployment import Stack, delete, deploy
from sandbox.deploy.settings import push
from sandbox.readback import check
from tests.prove.beside import soon

if TYPE_CHECKING:
    from collections.abc import Iterator

CONTROL = "kms-key-rotation"


@dataclass(frozen=True)
class Region:
    """A region of the account, with a stack."""

    sandbox: Sandbox
    stack: Stack

    def weakened_key(self) -> str:
        """Make a key that does not rotate; return its ARN."""
        return str(self.sandbox.client("kms").create_key()["KeyMetadata"]["Arn"])

    def outcomes(self, arn: str) -> list[tuple[str, str, str]]:
        """Return outcome, region and account of the control's outcomes of a resource in this region's audit."""
        items = self.sandbox.client("dynamodb").scan(TableName=self.stack.outputs["AuditTableName"])["Items"]
        records: list[dict[str, Any]] = [unwire(item) for item in items]
        return [
            (each["outcome"], each["region"], each["account"])
            for each in records
            if (each["resource"], each["control"], each["step"]) == (arn, CONTROL, "OUTCOME")
        ]

    def repaired(self) -> str:
        """Weaken a key, and wait until it rotates and its repair is audited here; return its ARN."""
        arn = self.weakened_key()
        soon(lambda: self.outcomes(arn), f"a repair of {arn}")
        assert self.sandbox.client("kms").get_key_rotation_status(KeyId=arn)["KeyRotationEnabled"]
        assert self.outcomes(arn) == [("REMEDIATED", self.sandbox.region, self.sandbox.account)]
        return arn

    def roles(self) -> set[str]:
        """Return the names of the account's roles that are this region's stack's."""
        pages = self.sandbox.client("iam").get_paginator("list_roles").paginate(PathPrefix="/evenkeel/")
        names = {role["RoleName"] for page in pages for role in page["Roles"]}
        return {name for name in names if name.startswith(f"{self.stack.name}-{self.sandbox.region}-")}


@pytest.fixture(scope="module")
def regions() -> Iterator[tuple[Region, Region]]:
    """The same stack twice."""
    with local_stack.own_environment(), Sandbox(table_seconds=0.0) as running:
        found = []
        for place in (running, running.in_region("eu-central-1")):
            stack = deploy(place, parameters=local_stack.PARAMETERS)
            push(place, stack, {"schema_version": 1, "settle_seconds": 1})
            found.append(Region(place, stack))
        yield found[0], found[1]


def test_both_stand_with_parts_of_their_own(regions: tuple[Region, Region]) -> None:
    """Fails when a stack cannot be deployed to a second region, because IAM, which has none, knows a name already."""
    here, there = regions
    assert here.stack.name == there.stack.name
    assert len(here.roles()) == len(there.roles()) > 20
    assert not here.roles() & there.roles()
    for region in regions:
        check.check(region.sandbox, region.stack.name)


def test_each_repairs_and_audits_what_is_in_its_region(regions: tuple[Region, Region]) -> None:
    """Fails when a stack works in the other's region, writes into its audit, or is kept from its own work."""
    here, there = regions
    mine, theirs = here.repaired(), there.repaired()
    assert not there.outcomes(mine)
    assert not here.outcomes(theirs)


def test_one_goes_and_the_other_works_on(regions: tuple[Region, Region]) -> None:
    """Fails when deleting a stack takes roles or permissions from that of another region. It comes last."""
    here, there = regions
    before = there.roles()
    delete(here.sandbox, here.stack.name)
    assert not here.roles()
    assert there.roles() == before
    there.repaired()
