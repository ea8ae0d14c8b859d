"""Writes the parts of template.yaml, docs and README that are generated from the controls; --check only compares.

Run ``make generate``, or ``python -m tools.generate [--check]`` from any folder.
"""

from __future__ import annotations

import argparse
import difflib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parents[1]
for _folder in ("functions/controls", "functions/system", "layers/engine", "cli"):
    sys.path.insert(0, str(ROOT / _folder))

from evenkeel.control.registry import groups as all_groups  # noqa: E402 - needs the path above
from evenkeel_cli.settings import json_schema  # noqa: E402 - needs the path above
from evenkeel_cli.ui import closed_pipe  # noqa: E402 - as above
from sandbox.deploy.template import parse  # noqa: E402 - needs the path above
from tools import architecture, deploy_policy, enabled_groups, group_template  # noqa: E402 - needs the path above
from tools.alert_pages import with_tables  # noqa: E402 - needs the path above
from tools.aws_quotas import measured  # noqa: E402 - needs the path above
from tools.cfn import plain  # noqa: E402 - needs the path above
from tools.cost import page as cost_page  # noqa: E402 - needs the path above
from tools.cost.parts import Parts  # noqa: E402 - needs the path above
from tools.pages import index, listed, page, with_parameters  # noqa: E402 - needs the path above
from tools.rendering import Stack  # noqa: E402 - needs the path above
from tools.selftest_pages import with_self_test  # noqa: E402 - needs the path above
from tools.template_blocks import blocks, filled  # noqa: E402 - needs the path above

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from evenkeel.control import Control

    Document = dict[str, Any]

TEMPLATE = Path("template.yaml")
PAGES = Path("docs/controls")
README = Path("README.md")
DEPLOY = Path("docs/operations/deploy.md")
ALERTS = Path("docs/alerts.md")
COST = Path("docs/cost.md")
COMMANDS = Path("docs/cli.md")
ARCHITECTURE = Path("docs/architecture.md")
GROUPS = Path("functions/system/clerk/groups.json")
GROUP_NAMES = Path("layers/engine/evenkeel/group_names.py")
SCHEMA = Path("docs/settings.schema.json")
DOCS = Path("docs")


class LimitError(ValueError):
    """A generated block exceeds a limit of AWS."""


def generated(root: Path, groups: Mapping[str, Sequence[Control]]) -> dict[Path, str]:
    """Return the text every generated file should have, by its path below the root.

    Raises:
        LimitError: a block exceeds a limit of AWS.
    """
    nested = _nested(groups)
    problems = [str(each) for each in measured(*built(root, groups)) if each.exceeded]
    if problems:
        raise LimitError("; ".join(problems))
    controls = sorted((each for members in groups.values() for each in members), key=lambda control: control.id)
    template = root_template(root, groups)
    policies = deploy_policy.policies([parse(template), *nested.values()])
    return {
        TEMPLATE: template,
        **{where: group_template.text(body) for where, body in nested.items()},
        DEPLOY: with_parameters((root / DEPLOY).read_text(encoding="utf-8"), template),
        ALERTS: with_tables((root / ALERTS).read_text(encoding="utf-8")),
        COMMANDS: with_self_test((root / COMMANDS).read_text(encoding="utf-8")),
        ARCHITECTURE: architecture.with_modules((root / ARCHITECTURE).read_text(encoding="utf-8")),
        README: listed((root / README).read_text(encoding="utf-8"), controls),
        GROUPS: group_template.listed(groups),
        GROUP_NAMES: group_template.group_names(groups),
        SCHEMA: json_schema.text(controls),
        **{DOCS / name: deploy_policy.text(document) for name, document in policies.items()},
        PAGES / "README.md": index(controls),
        **{PAGES / f"{control.id}.md": page(control) for control in controls},
    }


def built(root: Path, groups: Mapping[str, Sequence[Control]]) -> tuple[Document, dict[str, Document]]:
    """Return the root template and the nested ones by group, in long form, generated for the given groups."""
    nested = {path.parent.name: plain(body) for path, body in _nested(groups).items()}
    return parse(root_template(root, groups)), nested


def root_template(root: Path, groups: Mapping[str, Sequence[Control]]) -> str:
    """Return the root template's text for the given groups, with its hand-written parts."""
    return filled((root / TEMPLATE).read_text(encoding="utf-8"), blocks(groups))


def _nested(groups: Mapping[str, Sequence[Control]]) -> dict[Path, Document]:
    return {
        enabled_groups.path(controls): group_template.template(group, controls) for group, controls in groups.items()
    }


def priced(root: Path) -> dict[Path, str]:
    """Return docs/cost.md from the templates on disk, which must be written before."""
    return {COST: cost_page.with_tables((root / COST).read_text(encoding="utf-8"), Parts.of(Stack()))}


def differences(root: Path, wanted: Mapping[Path, str]) -> Iterator[str]:
    """Yield a diff for every generated file that is stale, missing or left over."""
    for path, text in wanted.items():
        present = (root / path).read_text(encoding="utf-8") if (root / path).exists() else ""
        if present != text:
            lines = difflib.unified_diff(
                present.splitlines(keepends=True), text.splitlines(keepends=True), f"{path}", f"{path} (generated)"
            )
            yield "".join(lines)
    for path in leftovers(root, wanted):
        yield f"{path}: no control of this name\n"


def leftovers(root: Path, wanted: Mapping[Path, str]) -> list[Path]:
    """Return the docs pages and templates, below the root, of controls and groups that no longer exist."""
    found = [*(root / PAGES).glob("*.md"), *(root / "functions" / "controls").glob("*/template.yaml")]
    pages = sorted(path.relative_to(root) for path in found)
    return [path for path in pages if path not in wanted]


def write(root: Path, wanted: Mapping[Path, str]) -> None:
    """Write every generated file and remove the pages of controls that no longer exist."""
    for path, text in wanted.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    for path in leftovers(root, wanted):
        (root / path).unlink()


def main(arguments: Sequence[str] | None = None) -> int:
    """Generate, or check; return the exit code (1 if a file is out of date)."""
    parser = argparse.ArgumentParser(description="Write the generated parts of template.yaml, docs and the README.")
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 and print a diff if a file is out of date"
    )
    check = parser.parse_args(arguments).check
    wanted = generated(ROOT, all_groups())
    if check:
        wanted |= priced(ROOT)
    stale = list(differences(ROOT, wanted))
    if not check:
        write(ROOT, wanted)
        write(ROOT, wanted | priced(ROOT))
        print(f"{len(wanted) + 1} files generated, {len(stale)} changed")
        return 0
    for difference in stale:
        print(difference)
    print(
        "generated files are out of date: run make generate"
        if stale
        else f"{len(wanted)} generated files are up to date"
    )
    return 1 if stale else 0


if __name__ == "__main__":
    with closed_pipe.quiet():
        sys.exit(main())
