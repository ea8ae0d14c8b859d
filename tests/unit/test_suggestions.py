"""What a misspelt name is answered with: by the command line and by the settings alike."""

from __future__ import annotations

import pytest

from evenkeel.suggestions import suggested, suggestion

KNOWN = ["kms-key-rotation", "logs-group-retention", "REMEDIATED"]


@pytest.mark.parametrize(
    ("given", "phrase"),
    [
        ("kms-key-rotatoin", "did you mean kms-key-rotation?"),
        ("kms", "did you mean kms-key-rotation?"),
        ("remediated", "did you mean REMEDIATED?"),
        ("group", "did you mean logs-group-retention?"),
        ("on", "known: REMEDIATED, kms-key-rotation, logs-group-retention"),
        ("vpc", "known: REMEDIATED, kms-key-rotation, logs-group-retention"),
        ("", "known: REMEDIATED, kms-key-rotation, logs-group-retention"),
    ],
)
def test_names_that_are_close_or_contain_it_are_suggested(given: str, phrase: str) -> None:
    """If this fails, who misspelt a name has to look it up, or is led to one that they did not mean."""
    assert suggestion(given, KNOWN) == phrase


@pytest.mark.parametrize(
    ("given", "sentence"), [("kms", "Did you mean kms-key-rotation?"), ("x", f"Known: {', '.join(sorted(KNOWN))}.")]
)
def test_a_suggestion_can_be_a_sentence(given: str, sentence: str) -> None:
    """If this fails, the next step of a command's error is not a sentence."""
    assert suggested(given, KNOWN) == sentence
