"""What the engine's layer is made of; ``tests/prove/test_build.py`` builds it."""

from __future__ import annotations

from importlib.metadata import version

from tools.rendering import ROOT


def test_what_is_deployed_is_what_is_tested() -> None:
    """Fails when the layer carries another version of a library than the one the tests run with."""
    lines = (ROOT / "layers" / "engine" / "requirements.txt").read_text(encoding="utf-8").splitlines()
    pins = dict(line.removesuffix(" \\").split("==") for line in lines if "==" in line)
    assert pins == {name: version(name) for name in pins}
    assert "aws-lambda-powertools" in pins
