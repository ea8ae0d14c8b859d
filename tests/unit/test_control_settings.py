"""The settings of one control: which parameters are taken, and what each refusal says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from evenkeel.control.registry import all_controls
from evenkeel.errors import SettingsError
from evenkeel.settings import parser
from tests.world import LOG_KEY

CONTROLS = all_controls()
KMS = CONTROLS["kms-key-rotation"]
DYNAMODB = CONTROLS["dynamodb-point-in-time-recovery"]
ENCRYPTION = CONTROLS["logs-group-encryption"]
RETENTION = CONTROLS["logs-group-retention"]
TAGS = CONTROLS["tagging-required-tags"]
RUNTIME = CONTROLS["lambda-deprecated-runtime"]
NO_ALIAS = "write the ARN of a symmetric key (no alias)"
MODES = "write one of off, notify, approve, enforce"
KEY_RULE = "write 1 to 128 letters, digits, spaces or _ . : / = + - @, not beginning with aws:, which is reserved"
ENV = {"EVENKEEL_LOG_KEY_ARN": LOG_KEY}


def _parsed(**document: Any) -> parser.Settings:
    return parser.parse(json.dumps({"schema_version": 1, **document}))


@pytest.mark.parametrize(
    ("control", "given", "message"),
    [
        (KMS, [], ": is a list; write keys and values"),
        (
            KMS,
            {"modes": "off"},
            ".modes: unknown key; did you mean mode?",
        ),
        (KMS, {"mode": "destroy"}, f".mode: 'destroy' is unknown; {MODES}"),
        (KMS, {"mode": []}, f".mode: is a list; {MODES}"),
        (KMS, {"mode": None}, f".mode: is empty; {MODES}"),
        (KMS, {"parameters": 1}, ".parameters: 1 is a whole number; write keys and values"),
        (
            KMS,
            {"parameters": {"days": 1}},
            ".parameters.days: unknown key; did you mean period_days?",
        ),
        (
            TAGS,
            {"parameters": {"days": 1}},
            (".parameters.days: unknown key; known: required, values"),
        ),
        (
            KMS,
            {"parameters": {"period_days": "365"}},
            ".parameters.period_days: '365' is text; write a whole number",
        ),
        (
            KMS,
            {"parameters": {"period_days": True}},
            ".parameters.period_days: is true; write a whole number",
        ),
        (
            KMS,
            {"parameters": {"period_days": 89}},
            ".parameters.period_days: 89 is not accepted; KMS accepts 90 to 2560",
        ),
        (
            KMS,
            {"parameters": {"period_days": 2561}},
            ".parameters.period_days: 2561 is not accepted; KMS accepts 90 to 2560",
        ),
        (
            DYNAMODB,
            {"parameters": {"min_recovery_days": 36}},
            ".parameters.min_recovery_days: 36 is not accepted; write 0 (any) to 35",
        ),
        (
            DYNAMODB,
            {"parameters": {"min_recovery_days": -1}},
            ".parameters.min_recovery_days: -1 is not accepted; write 0 (any) to 35",
        ),
        (
            RETENTION,
            {"parameters": {"days": 100}},
            (
                ".parameters.days: 100 is not accepted; write one of 1, 3, 5, 7, 14, 30, 60, 90, 120, "
                "150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653"
            ),
        ),
        (
            ENCRYPTION,
            {"parameters": {"key_arn": "alias/logs"}},
            (".parameters.key_arn: 'alias/logs' is not accepted; write the ARN of a symmetric key (no alias)"),
        ),
        (
            ENCRYPTION,
            {"parameters": {"key_arn": "arn:aws:kms:eu-west-1:123456789012:alias/logs"}},
            (
                ".parameters.key_arn: 'arn:aws:kms:eu-west-1:123456789012:alias/logs' is not accepted; "
                "write the ARN of a symmetric key (no alias)"
            ),
        ),
        (
            ENCRYPTION,
            {"parameters": {"key_arn": "arn:aws:s3:::b/:key/1"}},
            (f".parameters.key_arn: 'arn:aws:s3:::b/:key/1' is not accepted; {NO_ALIAS}"),
        ),
        *(
            (
                ENCRYPTION,
                {"parameters": {"key_arn": key}},
                f".parameters.key_arn: {key!r} is not accepted; {NO_ALIAS}",
            )
            for key in ("", "arn::kms::key/", "arn:aws:kms:eu-west-1:1:key/1", f"{LOG_KEY}:alias/logs", f"{LOG_KEY} ")
        ),
        (
            ENCRYPTION,
            {"parameters": {"key_arn": 5}},
            ".parameters.key_arn: 5 is a whole number; write text",
        ),
        (
            TAGS,
            {"parameters": {"required": ["Owner", "aws:team"]}},
            f".parameters.required: 'aws:team' is not a tag key; {KEY_RULE}",
        ),
        (
            TAGS,
            {"parameters": {"required": ["Owner", 5]}},
            ".parameters.required[1]: 5 is a whole number; write text",
        ),
        (
            TAGS,
            {"parameters": {"required": [""]}},
            f".parameters.required: '' is not a tag key; {KEY_RULE}",
        ),
        (
            TAGS,
            {"parameters": {"values": {"Project": "a;b"}}},
            (
                ".parameters.values.Project: 'a;b' is not accepted; "
                "write up to 256 letters, digits, spaces or _ . : / = + - @, not spaces only"
            ),
        ),
        (
            TAGS,
            {"parameters": {"values": {"Project": ""}}},
            (
                ".parameters.values.Project: '' is not accepted; "
                "write up to 256 letters, digits, spaces or _ . : / = + - @, not spaces only"
            ),
        ),
        (
            TAGS,
            {"parameters": {"values": {"Project": 5}}},
            (
                ".parameters.values.Project: 5 is not accepted; "
                "write up to 256 letters, digits, spaces or _ . : / = + - @, not spaces only"
            ),
        ),
        *(
            (
                TAGS,
                {"parameters": {"required": [key]}},
                f".parameters.required: {key!r} is not a tag key; {KEY_RULE}",
            )
            for key in ("AWS:team", "aWs:", "a;b", " ", "x" * 129)
        ),
        (
            TAGS,
            {"parameters": {"required": ["Owner", "Project", "Owner"]}},
            ".parameters.required: 3 keys, 2 of them different; write each once, 50 at most",
        ),
        (
            TAGS,
            {"parameters": {"required": [f"k{number}" for number in range(51)]}},
            ".parameters.required: 51 keys, 51 of them different; write each once, 50 at most",
        ),
        (
            TAGS,
            {"parameters": {"values": {"Aws:x": "y"}}},
            f".parameters.values: 'Aws:x' is not a tag key; {KEY_RULE}",
        ),
        (
            TAGS,
            {"parameters": {"values": {"Project": " "}}},
            (
                ".parameters.values.Project: ' ' is not accepted; "
                "write up to 256 letters, digits, spaces or _ . : / = + - @, not spaces only"
            ),
        ),
        (
            RUNTIME,
            {"parameters": {"warn_days": 1_000_000}},
            ".parameters.warn_days: 1000000 is not accepted; write 0 (on the day itself) to 3650",
        ),
        (
            RUNTIME,
            {"parameters": {"warn_days": -1}},
            ".parameters.warn_days: -1 is not accepted; write 0 (on the day itself) to 3650",
        ),
        (KMS, {"blast_radius": 5}, ".blast_radius: 5 is a whole number; write keys and values"),
    ],
)
def test_bad_settings_of_a_control_are_refused_with_the_place(control: Any, given: Any, message: str) -> None:
    """If this fails, a control runs on settings that nobody can have meant, or the refusal does not help."""
    with pytest.raises(SettingsError) as caught:
        _parsed(controls={control.id: given}).of(control, variables=ENV)
    assert str(caught.value) == f"controls.{control.id}{message}"


@pytest.mark.parametrize(
    ("control", "parameters"),
    [
        (KMS, {"period_days": 90}),
        (KMS, {"period_days": 2560}),
        (DYNAMODB, {"max_table_gib": 1, "min_recovery_days": 35}),
        (DYNAMODB, {"max_table_gib": 0, "min_recovery_days": 1}),
        (RETENTION, {"days": 1}),
        (RETENTION, {"days": 3653}),
        (ENCRYPTION, {"key_arn": LOG_KEY.replace("10ca", "0ddb")}),
        (TAGS, {"required": ["Owner"], "values": {"Project": "Übermut 1_.:/=+-@"}}),
        (TAGS, {"required": [], "values": {"Project": "x" * 256}}),
        (TAGS, {"required": [f"{number:0128}" for number in range(50)], "values": {}}),
        (RUNTIME, {"warn_days": 3650}),
    ],
)
def test_good_parameters_are_taken(control: Any, parameters: dict[str, Any]) -> None:
    """If this fails, a valid document is refused, and nothing is repaired."""
    given = {control.id: {"parameters": parameters}}
    assert _parsed(controls=given).of(control, variables=ENV).parameters == parameters


def test_key_of_a_parameter_is_named_whole() -> None:
    """If this fails, the problem of a tag key that has a colon is reported at another key, or cut in two."""
    found = TAGS.check_parameters({"required": [], "values": {"team: web": ";"}})
    assert found is not None
    assert (found.parameter, found.key, found.message) == ("values", "team: web", "';' is not accepted")


def test_parameters_that_are_left_out_are_the_defaults() -> None:
    """If this fails, setting one parameter loses another's default."""
    given = {DYNAMODB.id: {"parameters": {"min_recovery_days": 7}}}
    assert _parsed(controls=given).of(DYNAMODB).parameters == {"max_table_gib": 25, "min_recovery_days": 7}


def test_stack_provides_the_log_key() -> None:
    """If this fails, the stack's own key is not used, or a stack without one is not noticed."""
    assert _parsed().of(ENCRYPTION, variables=ENV).parameters == {"key_arn": LOG_KEY}
    with pytest.raises(SettingsError, match="key_arn: ''"):
        _parsed().of(ENCRYPTION, variables={})
