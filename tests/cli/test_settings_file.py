"""The checks of settings files: read with their lines, checked with the functions' own code."""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path

import pytest

from evenkeel.control import Env
from evenkeel.control.registry import all_controls
from evenkeel_cli.settings.source_file import PROVIDED, read
from tests.cli.running import evenkeel

DOCS = Path(__file__).resolve().parents[2] / "docs"
EXEMPTION = """schema_version: 1
exemptions:
  - controls: [kms-key-rotation]
    resources: ["*"]
    reason: rotates in the HSM
    approver: alice@example.com
    expires: {expires}
"""
WRONG = [
    ("schema_version: 1\nsettle_secs: 5\n", 2, "settle_secs: unknown key; did you mean settle_seconds?"),
    ("schema_version: 1\nsettle_seconds: soon\n", 2, "write whole seconds"),
    ("schema_version: 3\n", 1, "write 1"),
    ("schema_version: 1\ncontrols:\n  kms-rotation:\n    mode: off\n", 3, "did you mean kms-key-rotation?"),
    ("schema_version: 1\ncontrols:\n  kms-key-rotation:\n    mode: of\n", 4, "write one of off, notify"),
    (
        "schema_version: 1\ncontrols:\n  kms-key-rotation:\n    parameters:\n      days: 3\n",
        5,
        "parameters.days: unknown key; did you mean period_days?",
    ),
    ("schema_version: 1\ncontrols:\n  kms-key-rotation: {parameters: {period_days: 3}}\n", 3, "KMS accepts 90"),
    ("schema_version: 1\nschema_version: 1\n", 2, "schema_version is a duplicate key; the first is in line 1"),
    ("schema_version: 1\ncontrols: {a: [}\n", 2, "not YAML"),
    ("just a text\n", 1, "settings: 'just a text' is text; write keys and values"),
    ("", 1, "settings: is empty; write keys and values"),
    ("a: &a [*a]\n", 1, "not YAML: this part contains itself, by an alias"),
    ("!!python/object:os.system {}\n", 1, "not YAML"),
    ('schema_version: 1\nfreezes:\n- {cron: "0 0 30 2 *", hours: 3}\n', 3, "cron"),
    (
        'schema_version: 1\nfreezes:\n- {name: end, cron: "0 0 1 * *", hours: 3, controls: [kms]}\n',
        3,
        "freezes[0].controls[0]: 'kms' is unknown; did you mean kms-key-rotation?",
    ),
    (EXEMPTION.format(expires="2020-01-01"), 7, "2020-01-01 has passed"),
    (EXEMPTION.format(expires="soon"), 7, "write the last day as YYYY-MM-DD"),
    (
        EXEMPTION.format(expires="2099-01-01").replace("    approver: alice@example.com\n", ""),
        3,
        "approver: is missing; write who approved it",
    ),
]


def validated(folder: Path, text: str) -> tuple[int, str, str]:
    """Validate a text and return exit code, stderr and the file's name."""
    path = folder / "settings.yaml"
    path.write_text(text, encoding="utf-8")
    result = evenkeel("settings", "validate", str(path))
    return result.exit_code, result.stderr, str(path)


@pytest.mark.parametrize(("text", "line", "told"), WRONG, ids=[told for _, _, told in WRONG])
def test_each_problem_has_its_file_and_line(tmp_path: Path, text: str, line: int, told: str) -> None:
    """Somebody would search a long file for a problem, push it, or see a traceback."""
    exit_code, stderr, path = validated(tmp_path, text)
    assert exit_code == 2
    assert f"{path}:{line}: " in stderr
    assert told in stderr


def test_all_problems_are_reported_at_once(tmp_path: Path) -> None:
    """A file with three problems would take three rounds."""
    controls = "  nothing: {}\n  kms-key-rotation: {mode: x}\n  logs-group-retention: {mode: y}\n"
    _, stderr, path = validated(tmp_path, f"schema_version: 1\ncontrols:\n{controls}")
    assert [line in stderr for line in (f"{path}:3: ", f"{path}:4: ", f"{path}:5: ")] == [True] * 3


def test_each_problem_within_a_rule_has_its_own_line(tmp_path: Path) -> None:
    """If this fails, an exemption with four problems takes four rounds, or sends people to its first line each time."""
    rule = EXEMPTION.format(expires="2020-01-01").replace("kms-key", "kms-keys").replace("alice@example.com", '""')
    _, stderr, path = validated(tmp_path, f"{rule}    until: never\nsettle_seconds: soon\n")
    found = [line.removeprefix("error: ") for line in stderr.splitlines()]
    assert found == [
        f"{path}:3: exemptions[0].controls[0]: 'kms-keys-rotation' is unknown; did you mean kms-key-rotation?",
        f"{path}:6: exemptions[0].approver: is empty; write who approved it",
        f"{path}:7: exemptions[0].expires: 2020-01-01 has passed; write a later day, or remove the exemption",
        (
            f"{path}:8: exemptions[0].until: unknown key; known: accounts, approver, controls, expires, reason,"
            " resources, tags"
        ),
        f"{path}:9: settle_seconds: 'soon' is text; write whole seconds from 0 to 900",
        "next:  Fix the file, then run the command again.",
    ]


def test_every_duplicate_key_is_reported(tmp_path: Path) -> None:
    """If this fails, a file that was merged badly takes a round for each key."""
    _, stderr, path = validated(tmp_path, "a: 1\nb: {c: 1, c: 2}\na: 2\na: 3\n")
    assert [f"{path}:{line}: " in stderr for line in (1, 2, 3, 4)] == [False, True, True, True]
    assert stderr.count("the first is in line 1") == 2


def test_a_missing_file_and_one_that_is_not_text_are_reported(tmp_path: Path) -> None:
    """A misspelt path would end in a traceback."""
    assert "No such file" in evenkeel("settings", "validate", str(tmp_path / "no.yaml")).stderr
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    assert "not UTF-8" in evenkeel("settings", "validate", str(tmp_path / "bytes")).stderr


def test_yaml_means_what_people_mean(tmp_path: Path) -> None:
    """YAML 1.1 reads off as false, a date as a date and 012345678901 as a number: none of them would be valid."""
    path = tmp_path / "settings.yaml"
    path.write_text("a: off\nb: 2026-11-01\nc: 012345678901\nd: 10\ne: true\nf: null\ng: 1.5\n", encoding="utf-8")
    assert read(path).document == {
        "a": "off", "b": "2026-11-01", "c": "012345678901", "d": 10, "e": True, "f": None, "g": 1.5,
    }  # fmt: skip


NOT_READ = [
    ("a: 1\n\tb: 2\n", 2, "not YAML: "),
    ("a: 1\nb: \x07\n", 2, "character U+0007 is not allowed in YAML"),
    ("a: 1\n---\nb: 2\n", 2, "not YAML: expected a single document"),
    ("a: 1\nb: !!set {c}\n", 2, "not YAML: could not determine a constructor for the tag"),
    ("a: 1\nb: !mine 2\n", 2, "not YAML: could not determine a constructor for the tag"),
    ("a: 1\nb: *nowhere\n", 2, "not YAML: found undefined alias 'nowhere'"),
    ("a: 1\nb: 1e999\n", 2, "not YAML: '1e999' cannot be read: the number is too large"),
    (f"a: 1\nb: {'9' * 5000}\n", 2, "not YAML: '9999"),
    ('a: 1\nb: "\\uD800"\n', 2, "cannot be read: 'utf-8' codec"),
    ("a: 1\nb: !!bool maybe\n", 2, "not YAML: 'maybe' cannot be read"),
    ("a: 1\nb: " + "[" * 100, 2, "not YAML: maximum depth"),
    ("a: 1\n<<: {b: 1}\n<<: {c: 1}\n", 3, 'found duplicate merge key "<<"'),
    ("a: 1\n<<: 5\n", 2, "expected a mapping or list of mappings for merging"),
    ("- schema_version: 1\n", 1, "settings: is a list; write keys and values"),
    ("off\n", 1, "settings: 'off' is text; write keys and values"),
    ("? {a: 1}\n: 2\n", 1, "not a plain document: keys must be"),
    ("1: a\n'1': b\n", 2, "1 is a duplicate key; the first is in line 1"),
]


@pytest.mark.parametrize(("text", "line", "message"), NOT_READ, ids=[message for _, _, message in NOT_READ])
def test_what_cannot_be_read_has_its_line(tmp_path: Path, text: str, line: int, message: str) -> None:
    """If this fails, a person gets a traceback for YAML that settings cannot have, or searches for its line."""
    exit_code, stderr, path = validated(tmp_path, text)
    assert exit_code == 2
    assert f"{path}:{line}: " in stderr
    assert message in stderr


def test_bytes_that_are_not_utf_8_have_their_line(tmp_path: Path) -> None:
    """If this fails, a name in another encoding has to be searched for in the whole file."""
    (tmp_path / "s.yaml").write_bytes("schema_version: 1\n# Bauernhöfe\n".encode("latin-1"))
    assert (
        "s.yaml:2: not UTF-8 text; save the file as UTF-8"
        in evenkeel("settings", "validate", f"{tmp_path}/s.yaml").stderr
    )


@pytest.mark.parametrize("start", ["", "\ufeff", "%YAML 1.1\n---\n", "%YAML 1.2\n---\n", "# comment\r\n"])
@pytest.mark.parametrize("mode", ["off", "'off'", '"off"'])
def test_mode_off_needs_no_quotes(tmp_path: Path, start: str, mode: str) -> None:
    """If this fails, ``mode: off`` is the boolean of YAML 1.1, or an editor's byte order mark makes a file invalid."""
    text = f"{start}schema_version: 1\ncontrols:\n  kms-key-rotation: {{mode: {mode}}}\n"
    assert validated(tmp_path, text)[:2] == (0, "")
    assert read(tmp_path / "settings.yaml").document["controls"] == {"kms-key-rotation": {"mode": "off"}}


def test_words_that_are_booleans_elsewhere_are_text(tmp_path: Path) -> None:
    """If this fails, a tag's value such as ``yes`` is true, and selects no resource."""
    path = tmp_path / "settings.yaml"
    words = [
        "on",
        "yes",
        "no",
        "y",
        "True",
        "NULL",
        "0x1F",
        "1_000",
        "12:30",
        "0o17",
        ".5",
        "2026-11-01T10:00:00Z",
        "=",
    ]
    path.write_text("".join(f"k{number}: {word}\n" for number, word in enumerate(words)), encoding="utf-8")
    assert list(read(path).document.values()) == words


def test_anchors_and_merge_keys_are_resolved_with_their_lines(tmp_path: Path) -> None:
    """If this fails, settings that share parts are refused, or a problem in a shared part has a wrong line."""
    text = """schema_version: 1
controls:
  kms-key-rotation: &shared
    mode: notify
    blast_radius: {limit: 5}
  s3-versioning:
    <<: *shared
    mode: off
  dynamodb-deletion-protection: *shared
"""
    exit_code, stderr, path = validated(tmp_path, text)
    assert (exit_code, stderr) == (0, "")
    controls = read(Path(path)).document["controls"]
    assert controls["s3-versioning"] == {"mode": "off", "blast_radius": {"limit": 5}}
    assert controls["dynamodb-deletion-protection"] == controls["kms-key-rotation"]
    _, stderr, _ = validated(tmp_path, text.replace("limit: 5", "limit: 0"))
    assert [int(line.split("settings.yaml:")[1].split(":")[0]) for line in stderr.splitlines()[:3]] == [5, 5, 5]


def test_aliases_cannot_make_a_short_file_huge(tmp_path: Path) -> None:
    """If this fails, a file of ten lines fills the memory of the machine that checks it."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    _, stderr, path = validated(tmp_path, "\n".join(lines))
    assert f"{path}:1: not a plain document: it has more than 8,000,000 characters as JSON" in stderr


def test_a_long_file_is_checked_within_seconds(tmp_path: Path) -> None:
    """If this fails, a team with a thousand exemptions waits for minutes, or is led to a wrong line."""
    rule = EXEMPTION.format(expires="2099-01-01").partition("exemptions:\n")[2]
    begun = time.process_time()
    _, stderr, path = validated(tmp_path, f"schema_version: 1\nexemptions:\n{rule * 1000}settle_seconds: x\n")
    assert f"{path}:5003: settle_seconds: 'x' is text" in stderr
    assert time.process_time() - begun < 30


def test_json_is_read_as_well(tmp_path: Path) -> None:
    """Settings that a program writes would have to be turned into YAML first."""
    document = {"schema_version": 1, "controls": {"kms-key-rotation": {"mode": "off"}}}
    assert validated(tmp_path, json.dumps(document, indent=2))[0] == 0
    exit_code, stderr, path = validated(tmp_path, json.dumps({"schema_version": 1, "controls": {"x": {}}}, indent=2))
    assert exit_code == 2
    assert f"{path}:4: controls.x: unknown key; known: cloudtrail-logging, " in stderr


def test_the_example_in_the_documentation_is_valid(tmp_path: Path) -> None:
    """People start from the example."""
    example = (DOCS / "settings.md").read_text(encoding="utf-8").split("```yaml\n")[1].partition("```")[0]
    assert validated(tmp_path, example)[:2] == (0, "")


def test_whatever_the_stack_provides_has_a_stand_in() -> None:
    """A valid file would be refused for want of what only the stack knows."""
    defaults = [value for control in all_controls().values() for value in control.parameters.values()]
    assert {str(value) for value in defaults if isinstance(value, Env)} <= PROVIDED.keys()


def test_a_problem_is_json_where_json_was_asked_for(tmp_path: Path) -> None:
    """A pipeline would have to parse prose."""
    (tmp_path / "s.yaml").write_text("schema_version: 9\n", encoding="utf-8")
    result = evenkeel("settings", "validate", str(tmp_path / "s.yaml"), "-o", "json")
    assert "s.yaml:1:" in json.loads(result.stderr)["error"]["message"]


def test_machines_get_each_problem_in_its_parts(tmp_path: Path) -> None:
    """If this fails, a pipeline that annotates lines has to take sentences apart."""
    path = tmp_path / "s.yaml"
    path.write_text(
        "schema_version: 1\nsettle_seconds: x\ncontrols:\n  kms-key-rotation: {mode: x}\n", encoding="utf-8"
    )
    result = evenkeel("settings", "validate", str(path), "-o", "json")
    error = json.loads(result.stderr)["error"]
    told = [(each["file"], each["line"], each["place"]) for each in error["problems"]]
    assert told == [(str(path), 2, "settle_seconds"), (str(path), 4, "controls.kms-key-rotation.mode")]
    lines = [f"{path}:{each['line']}: {each['place']}: {each['message']}; {each['hint']}" for each in error["problems"]]
    assert error["message"] == "\n".join(lines)
    path.write_text("a: 1\na: 1\n", encoding="utf-8")
    (problem,) = json.loads(evenkeel("settings", "validate", str(path), "-o", "json").stderr)["error"]["problems"]
    assert (problem["line"], problem["place"]) == (2, "")


def test_a_valid_file_is_named_as_in_the_records(tmp_path: Path) -> None:
    """If this fails, the version that validate prints is not found under that name in settings show or a record."""
    path = tmp_path / "s.yaml"
    path.write_text("schema_version: 1\n", encoding="utf-8")
    said = json.loads(evenkeel("settings", "validate", str(path), "-o", "json").stdout)
    expected = hashlib.sha256(read(path).text.encode()).hexdigest()[:12]
    assert said == {"file": str(path), "ok": True, "settings_version": expected}


def test_check_that_pushes_nothing_does_not_speak_of_pushing(tmp_path: Path) -> None:
    """If this fails, whoever only checks a file is told of a push that they never asked for."""
    path = tmp_path / "settings.yaml"
    path.write_text("schema_version: 2\n")
    result = evenkeel("settings", "validate", str(path))
    assert (result.exit_code, "schema_version" in result.stderr) == (2, True)
    assert "was pushed" not in result.stderr
