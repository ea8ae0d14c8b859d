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
MODES = "use one of off, notify, approve, enforce"
KEY_RULE = "write 1 to 128 letters, digits, spaces or _ . : / = + - @, not beginning with aws:, which is reserved"
ENV = {"EVENKEEL_LOG_KEY_ARN": LOG_KEY}


def _parsed(**document: Any) -> parser.Settings:
    return parser.parse(json.dumps({"schema_version": 1, **document}))


@pytest.mark.parametrize(
    ("control", "given", "message"),
    [
        (KMS, [], "controls.kms-key-rotation: is a list; write keys and values"),
        (
            KMS,
            {"modes": "off"},
            "controls.kms-key-rotation: unknown key 'modes'; known are blast_radius, mode, overrides, parameters",
        ),
        (KMS, {"mode": "destroy"}, f"controls.kms-key-rotation.mode: 'destroy' is not a valid Mode; {MODES}"),
        (KMS, {"mode": []}, f"controls.kms-key-rotation.mode: [] is not a valid Mode; {MODES}"),
        (KMS, {"mode": None}, f"controls.kms-key-rotation.mode: None is not a valid Mode; {MODES}"),
        (KMS, {"parameters": 1}, "controls.kms-key-rotation.parameters: is a whole number; write keys and values"),
        (
            KMS,
            {"parameters": {"days": 1}},
            "controls.kms-key-rotation.parameters: unknown parameter 'days'; kms-key-rotation has: period_days",
        ),
        (
            TAGS,
            {"parameters": {"days": 1}},
            (
                "controls.tagging-required-tags.parameters: unknown parameter 'days'; "
                "tagging-required-tags has: required, values"
            ),
        ),
        (
            KMS,
            {"parameters": {"period_days": "365"}},
            "controls.kms-key-rotation.parameters.period_days: '365' is a text; write a whole number",
        ),
        (
            KMS,
            {"parameters": {"period_days": True}},
            "controls.kms-key-rotation.parameters.period_days: True is true or false; write a whole number",
        ),
        (
            KMS,
            {"parameters": {"period_days": 89}},
            "controls.kms-key-rotation.parameters.period_days: 89; KMS accepts 90 to 2560",
        ),
        (
            KMS,
            {"parameters": {"period_days": 2561}},
            "controls.kms-key-rotation.parameters.period_days: 2561; KMS accepts 90 to 2560",
        ),
        (
            DYNAMODB,
            {"parameters": {"min_recovery_days": 36}},
            "controls.dynamodb-point-in-time-recovery.parameters.min_recovery_days: 36; write 0 (any) to 35",
        ),
        (
            DYNAMODB,
            {"parameters": {"min_recovery_days": -1}},
            "controls.dynamodb-point-in-time-recovery.parameters.min_recovery_days: -1; write 0 (any) to 35",
        ),
        (
            RETENTION,
            {"parameters": {"days": 100}},
            (
                "controls.logs-group-retention.parameters.days: 100; write one of 1, 3, 5, 7, 14, 30, 60, 90, 120, "
                "150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653"
            ),
        ),
        (
            ENCRYPTION,
            {"parameters": {"key_arn": "alias/logs"}},
            (
                "controls.logs-group-encryption.parameters.key_arn: 'alias/logs'; "
                "write the ARN of a symmetric key (no alias)"
            ),
        ),
        (
            ENCRYPTION,
            {"parameters": {"key_arn": "arn:aws:kms:eu-west-1:123456789012:alias/logs"}},
            (
                "controls.logs-group-encryption.parameters.key_arn: 'arn:aws:kms:eu-west-1:123456789012:alias/logs'; "
                "write the ARN of a symmetric key (no alias)"
            ),
        ),
        (
            ENCRYPTION,
            {"parameters": {"key_arn": "arn:aws:s3:::b/:key/1"}},
            (
                "controls.logs-group-encryption.parameters.key_arn: 'arn:aws:s3:::b/:key/1'; "
                "write the ARN of a symmetric key (no alias)"
            ),
        ),
        *(
            (
                ENCRYPTION,
                {"parameters": {"key_arn": key}},
                f"controls.logs-group-encryption.parameters.key_arn: {key!r}; {NO_ALIAS}",
            )
            for key in ("", "arn::kms::key/", "arn:aws:kms:eu-west-1:1:key/1", f"{LOG_KEY}:alias/logs", f"{LOG_KEY} ")
        ),
        (
            ENCRYPTION,
            {"parameters": {"key_arn": 5}},
            "controls.logs-group-encryption.parameters.key_arn: 5 is a whole number; write a text",
        ),
        (
            TAGS,
            {"parameters": {"required": ["Owner", "aws:team"]}},
            f"controls.tagging-required-tags.parameters.required: 'aws:team' is not a tag key; {KEY_RULE}",
        ),
        (
            TAGS,
            {"parameters": {"required": ["Owner", 5]}},
            f"controls.tagging-required-tags.parameters.required: 5 is not a tag key; {KEY_RULE}",
        ),
        (
            TAGS,
            {"parameters": {"required": [""]}},
            f"controls.tagging-required-tags.parameters.required: '' is not a tag key; {KEY_RULE}",
        ),
        (
            TAGS,
            {"parameters": {"values": {"Project": "a;b"}}},
            (
                "controls.tagging-required-tags.parameters.values.Project: 'a;b'; "
                "write up to 256 letters, digits, spaces or _ . : / = + - @, not spaces only"
            ),
        ),
        (
            TAGS,
            {"parameters": {"values": {"Project": ""}}},
            (
                "controls.tagging-required-tags.parameters.values.Project: ''; "
                "write up to 256 letters, digits, spaces or _ . : / = + - @, not spaces only"
            ),
        ),
        (
            TAGS,
            {"parameters": {"values": {"Project": 5}}},
            (
                "controls.tagging-required-tags.parameters.values.Project: 5; "
                "write up to 256 letters, digits, spaces or _ . : / = + - @, not spaces only"
            ),
        ),
        *(
            (
                TAGS,
                {"parameters": {"required": [key]}},
                f"controls.tagging-required-tags.parameters.required: {key!r} is not a tag key; {KEY_RULE}",
            )
            for key in ("AWS:team", "aWs:", "a;b", " ", "x" * 129)
        ),
        (
            TAGS,
            {"parameters": {"required": ["Owner", "Project", "Owner"]}},
            "controls.tagging-required-tags.parameters.required: 3 keys, 2 different; write each once, 50 at most",
        ),
        (
            TAGS,
            {"parameters": {"required": [f"k{number}" for number in range(51)]}},
            "controls.tagging-required-tags.parameters.required: 51 keys, 51 different; write each once, 50 at most",
        ),
        (
            TAGS,
            {"parameters": {"values": {"Aws:x": "y"}}},
            f"controls.tagging-required-tags.parameters.values: 'Aws:x' is not a tag key; {KEY_RULE}",
        ),
        (
            TAGS,
            {"parameters": {"values": {"Project": " "}}},
            (
                "controls.tagging-required-tags.parameters.values.Project: ' '; "
                "write up to 256 letters, digits, spaces or _ . : / = + - @, not spaces only"
            ),
        ),
        (
            RUNTIME,
            {"parameters": {"warn_days": 1_000_000}},
            "controls.lambda-deprecated-runtime.parameters.warn_days: 1000000; write 0 (on the day itself) to 3650",
        ),
        (
            RUNTIME,
            {"parameters": {"warn_days": -1}},
            "controls.lambda-deprecated-runtime.parameters.warn_days: -1; write 0 (on the day itself) to 3650",
        ),
        (KMS, {"blast_radius": 5}, "controls.kms-key-rotation.blast_radius: is a whole number; write keys and values"),
    ],
)
def test_bad_settings_of_a_control_are_refused_with_the_place(control: Any, given: Any, message: str) -> None:
    """If this fails, a control runs on settings that nobody can have meant, or the refusal does not help."""
    with pytest.raises(SettingsError) as caught:
        _parsed(controls={control.id: given}).of(control, variables=ENV)
    assert str(caught.value) == message


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


def test_parameters_that_are_left_out_are_the_defaults() -> None:
    """If this fails, setting one parameter loses another's default."""
    given = {DYNAMODB.id: {"parameters": {"min_recovery_days": 7}}}
    assert _parsed(controls=given).of(DYNAMODB).parameters == {"max_table_gib": 25, "min_recovery_days": 7}


def test_stack_provides_the_log_key() -> None:
    """If this fails, the stack's own key is not used, or a stack without one is not noticed."""
    assert _parsed().of(ENCRYPTION, variables=ENV).parameters == {"key_arn": LOG_KEY}
    with pytest.raises(SettingsError, match="key_arn: ''"):
        _parsed().of(ENCRYPTION, variables={})
