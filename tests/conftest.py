"""What every test shares: an environment without credentials of anyone's, and a fresh AWS of moto's where asked for."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.examples import by_default
from tests.quick import share_models, spare_the_collector

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.wire import Wire
    from tests.world import World

# Powertools reads these when a handler's module is imported, before any fixture.
os.environ["POWERTOOLS_METRICS_NAMESPACE"] = "Evenkeel"
os.environ["POWERTOOLS_SERVICE_NAME"] = "test"
os.environ["POWERTOOLS_LOG_LEVEL"] = "INFO"
# moto makes an image, a snapshot and a volume of each of a thousand images for each empty EC2: half of the CPU of the
# tests, and garbage that the collector walks in all others. One image does.
os.environ["MOTO_AMIS_PATH"] = str(Path(__file__).parent / "moto_gaps" / "images.json")


LONGEST = (
    *("test_least_privilege.py", "test_selftest.py", "test_terraform.py", "test_cdk.py", "test_sam.py"),
    *("test_settings_taken_back.py", "test_settings_missing.py", "test_storm.py", "test_push_obeyed.py"),
    *("test_cli_approvals.py", "test_demo.py", "test_digests.py"),
)


def pytest_configure() -> None:
    """Let all sessions share what boto3 knows of AWS, and say how Hypothesis tries."""
    share_models()
    by_default()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, so that no worker idles at the end: real clients, then all with a local AWS."""
    items.sort(key=lambda item: (_place(item.path.name), "sandbox" not in item.path.parts))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Let the files that share a sandbox run in one worker."""
    from tests.scheduling import ByStack  # noqa: PLC0415 - only where xdist asks for it

    return ByStack(config, log) if config.option.dist == "loadfile" else None


def _place(file: str) -> int:
    return LONGEST.index(file) if file in LONGEST else len(LONGEST)


def pytest_collection_finish() -> None:
    """Leave what lives as long as the run out of the garbage collector's rounds."""
    spare_the_collector()


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Set the environment of a Lambda, and nothing of the developer's own AWS."""
    from tests.world import set_variables  # noqa: PLC0415 - boto3 only where a test needs it

    set_variables(monkeypatch)
    return monkeypatch


@pytest.fixture
def sts(variables: pytest.MonkeyPatch) -> Iterator[str]:
    """Return the URL of an STS on this machine, which functions ask for who their caller is."""
    from tests.sts import serving  # noqa: PLC0415 - as above

    with serving() as url:
        variables.setenv("AWS_ENDPOINT_URL_STS", url)
        yield url


@pytest.fixture
def wire() -> Iterator[Wire]:
    """Record all calls of botocore's, and let some fail."""
    from tests.wire import WIRE  # noqa: PLC0415 - as above

    WIRE.clear()
    yield WIRE
    WIRE.clear()
    WIRE.stand_ins = {}


@pytest.fixture
def people(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the ARN that comes with a decision for the caller's; proofs are tried in ``test_caller_proof``."""
    monkeypatch.setattr("evenkeel.operators.approvals.prove", lambda payload, *_: payload["caller"]["arn"])


@pytest.fixture
def world(variables: pytest.MonkeyPatch, wire: Wire) -> Iterator[World]:
    """Return the stack's tables and queues on an empty moto without its gaps."""
    from tests.world import standing  # noqa: PLC0415 - as above

    with standing(variables, wire) as there:
        yield there


@pytest.fixture
def digest_key(world: World, variables: pytest.MonkeyPatch) -> str:
    """Return the ARN of a key for the digests' MACs, which functions find in their environment."""
    from tests.world import client  # noqa: PLC0415 - as above

    made = client("kms").create_key(KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")
    arn: str = made["KeyMetadata"]["Arn"]
    variables.setenv("EVENKEEL_DIGEST_KEY_ARN", arn)
    world.wire.clear()
    return arn
