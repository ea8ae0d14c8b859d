"""AWS's errors in the words of whoever ran the command."""

from __future__ import annotations

from typing import Any

import pytest
from botocore import exceptions as raised

from evenkeel_cli.aws.session import Cloud, explained
from evenkeel_cli.ui.failure import CommandError, Exit, reported
from tests.cli.fake_cloud import refusal

ERRORS: list[tuple[Any, str, Exit]] = [
    (raised.NoCredentialsError(), "no AWS credentials", Exit.USAGE),
    (raised.NoRegionError(), "no AWS region", Exit.USAGE),
    (raised.ProfileNotFound(profile="ops"), "ops", Exit.USAGE),
    (raised.UnauthorizedSSOTokenError(), "sign-in has expired", Exit.USAGE),
    (raised.EndpointConnectionError(endpoint_url="http://x"), "http://x", Exit.FAILED),
    (raised.ReadTimeoutError(endpoint_url="http://x"), "http://x", Exit.FAILED),
    (refusal("AccessDeniedException", "ListStackResources"), "access denied by AWS at ListStackResources", Exit.FAILED),
    (refusal("ExpiredToken"), "does not accept the credentials", Exit.USAGE),
    (refusal("InternalFailure", "ListStackResources"), "ListStackResources answered InternalFailure", Exit.FAILED),
]


@pytest.mark.parametrize(("error", "words", "code"), ERRORS, ids=lambda value: type(value).__name__)
def test_each_error_says_what_happened_and_what_to_do(error: Any, words: str, code: Exit) -> None:
    """Somebody without credentials, network or permission would be left with boto3's name for it, and no next step."""
    found = explained("pause stack prod", error)
    assert found.message.startswith("cannot pause stack prod: ")
    assert words in found.message
    assert found.next_step.endswith(".")
    assert found.code is code


def test_an_error_leaves_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    """A person would have to read Python to learn that their sign-in has expired."""
    with pytest.raises(SystemExit) as ended, reported(as_json=False):
        raise CommandError("the stack is gone", "Deploy it.", Exit.USAGE)
    assert ended.value.code == 2
    shown = capsys.readouterr()
    assert not shown.out
    assert shown.err.splitlines() == ["error: the stack is gone", "next:  Deploy it."]


def test_the_region_of_the_aws_cli_is_known_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """With only AWS_REGION set, as the AWS CLI takes it, a pause would fail for want of a region."""
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    monkeypatch.setenv("AWS_REGION", "ap-southeast-2")
    assert Cloud(None)("lambda").meta.region_name == "ap-southeast-2"
    assert Cloud("eu-north-1")("lambda").meta.region_name == "eu-north-1"
