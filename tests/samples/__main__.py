"""Store the documents that this code writes as a release's: ``python -m tests.samples v0.2``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

for _folder in ("controls", "system"):
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "functions" / _folder))

import pytest  # noqa: E402 - the functions' packages have to be importable first

from tests.samples.stored import FOLDER  # noqa: E402
from tests.samples.story import documents  # noqa: E402
from tests.wire import WIRE  # noqa: E402
from tests.world import set_variables, standing  # noqa: E402


def main(release: str) -> int:
    """Write the folder of a release; one that is there stays as it is."""
    folder = FOLDER / release
    if folder.exists():
        sys.stderr.write(f"{folder} is there: what a release wrote does not change. Name a new release.\n")
        return 1
    with pytest.MonkeyPatch.context() as patch:
        set_variables(patch)
        with standing(patch, WIRE) as world:
            found = documents(world)
    folder.mkdir()
    for name, document in found.items():
        (folder / f"{name}.json").write_text(json.dumps(document, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
