"""What the sandbox corrects in the engine's RDS."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.factories import rds as making
from tests.sandbox.conftest import TABLE_SECONDS
from tests.world import reaching

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.client import Sandbox


@pytest.fixture
def rds(sandbox: Sandbox, alice: Any) -> Iterator[Any]:
    """Alice's RDS client; what is made is made by her."""
    client = sandbox.client("rds", alice)
    with reaching(lambda _: client):
        yield client


def _instance(rds: Any, name: str) -> dict[str, Any]:
    [found] = rds.describe_db_instances(DBInstanceIdentifier=name)["DBInstances"]
    return dict(found)


def test_instance_refuses_changes_until_it_is_available(rds: Any) -> None:
    """If this fails, the sandbox cannot show what becomes of a call that comes too early, or wants a container."""

    def refused(**change: bool) -> bool:
        """Say whether a change is refused; False where a busy machine was too late for it."""
        try:
            rds.modify_db_instance(DBInstanceIdentifier=name, **change)
        except rds.exceptions.InvalidDBInstanceStateFault:
            return True
        return False

    for number in range(20):
        name = f"patched-{number}"
        assert making.instance(name.title()).endswith(f":db:{name}")
        if not refused(DeletionProtection=True):
            continue
        time.sleep(TABLE_SECONDS)
        rds.modify_db_instance(DBInstanceIdentifier=name.upper(), DeletionProtection=True)
        if refused(PubliclyAccessible=False):
            break
    else:
        pytest.fail("20 changes came too late to be refused, or none is")
    time.sleep(TABLE_SECONDS)
    found = _instance(rds, name)
    assert (found["DBInstanceStatus"], found["DeletionProtection"]) == ("available", True)


def test_public_access_is_the_default_outside_subnet_groups_and_aurora(rds: Any) -> None:
    """If this fails, the sandbox shows safe databases where AWS makes public ones, or the other way round."""
    making.instance("open")
    making.instance("closed", PubliclyAccessible=False)
    making.cluster("patched-aurora")
    making.member("patched-aurora", "patched-member")
    making.multi_az_cluster("patched-multi-az")
    assert [_instance(rds, name)["PubliclyAccessible"] for name in ("open", "closed", "patched-member")] == [
        True, False, False,
    ]  # fmt: skip
    found = {each["DBClusterIdentifier"]: each for each in rds.describe_db_clusters()["DBClusters"]}
    assert "PubliclyAccessible" not in found["patched-aurora"]
    assert found["patched-multi-az"]["PubliclyAccessible"]


def test_member_of_a_cluster_refuses_deletion_protection(rds: Any) -> None:
    """If this fails, a call that AWS refuses goes through in the sandbox."""
    making.cluster("patched-shop")
    making.member("patched-shop", "patched-shop-1")
    time.sleep(TABLE_SECONDS)
    with pytest.raises(rds.exceptions.ClientError, match="only be applied on the Cluster level"):
        rds.modify_db_instance(DBInstanceIdentifier="patched-shop-1", DeletionProtection=True)
    rds.modify_db_cluster(DBClusterIdentifier="patched-shop", DeletionProtection=True)
    with pytest.raises(rds.exceptions.InvalidDBClusterStateFault):
        rds.modify_db_cluster(DBClusterIdentifier="patched-shop", DeletionProtection=False)


def test_listing_is_authorized_on_all_names_of_its_type(sandbox: Sandbox, rds: Any) -> None:
    """If this fails, a narrow role's listing is refused in the sandbox, though AWS allows it."""
    making.instance("listed")
    allowed = {"Effect": "Allow", "Action": "rds:DescribeDBInstances", "Resource": "arn:aws:rds:*:*:db:*"}
    reader = sandbox.create_user("rds-reader", {"Version": "2012-10-17", "Statement": [allowed]})
    client = sandbox.client("rds", reader)
    assert "listed" in {each["DBInstanceIdentifier"] for each in client.describe_db_instances()["DBInstances"]}
    with pytest.raises(client.exceptions.ClientError, match="rds:DescribeDBClusters"):
        client.describe_db_clusters()
