"""What people type to deploy: `sam build`, `sam deploy`, `sam delete`, with SAM's own command against the sandbox."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sandbox.client import REPOSITORY, ROOT_SECRET, Sandbox
from sandbox.readback import check

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Sam = Callable[..., None]

STACK = "evenkeel-by-sam"
PATIENCE_SECONDS = 60.0


@pytest.fixture(scope="module")
def place() -> Iterator[Sandbox]:
    """An empty AWS."""
    with Sandbox(table_seconds=0.0) as running:
        yield running


@pytest.fixture(scope="module")
def sam(place: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Sam:
    """Return SAM's command in a copy of the sources, as the account's root."""
    folder = tmp_path_factory.mktemp("sam")
    for name in ("template.yaml", "samconfig.toml"):
        shutil.copy(REPOSITORY / name, folder)
    for name in ("functions", "layers"):
        shutil.copytree(REPOSITORY / name, folder / name)
    tools = Path(sys.executable).parent
    environment = {
        "PATH": f"{tools}:/usr/bin:/bin",
        "HOME": str(folder),
        "AWS_ENDPOINT_URL": place.endpoint,
        "AWS_DEFAULT_REGION": place.region,
        "AWS_ACCESS_KEY_ID": place.account,
        "AWS_SECRET_ACCESS_KEY": ROOT_SECRET,
        "SAM_CLI_TELEMETRY": "0",
        **{name: os.environ[name] for name in ("PIP_INDEX_URL", "PIP_CONFIG_FILE") if name in os.environ},
    }

    def run(*arguments: str) -> None:
        done = subprocess.run(
            [tools / "sam", *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]

    return run


def test_sam_builds_deploys_and_deletes_the_stack(place: Sandbox, sam: Sam) -> None:
    """People could not deploy it as the README says, or a deleted dev stack would leave things that cost money."""
    keys_before = {key["KeyId"] for key in place.client("kms").list_keys()["Keys"]}
    sam("build")
    sam("deploy", "--stack-name", STACK, "--resolve-s3", "--no-confirm-changeset", "--no-progressbar",
        "--parameter-overrides", "EnableUndo=true StartMode=recommended")  # fmt: skip
    assert check.check(place, STACK) > 800
    kms = place.client("kms")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"]:
        assert time.monotonic() < deadline, f"{key} was not repaired"
        time.sleep(0.1)
    sam("delete", "--stack-name", STACK, "--no-prompts", "--region", place.region)
    made = {each["KeyId"] for each in kms.list_keys()["Keys"]} - keys_before - {key}
    kept = [name for name in made if kms.describe_key(KeyId=name)["KeyMetadata"]["KeyState"] != "PendingDeletion"]
    (log_key,) = kept
    assert "log" in kms.describe_key(KeyId=log_key)["KeyMetadata"]["Description"]
    assert not place.client("dynamodb").list_tables()["TableNames"]
    assert not place.client("sqs").list_queues().get("QueueUrls")
    assert not place.client("lambda").list_functions()["Functions"]
    assert not place.client("logs").describe_log_groups(logGroupNamePrefix=f"/aws/lambda/{STACK}")["logGroups"]
    assert not [role for role in place.client("iam").list_roles()["Roles"] if role["Path"] == "/evenkeel/"]
