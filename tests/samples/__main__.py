"""Store the documents that this code writes as a release's: ``python -m tests.samples v0.2``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

for _folder in ("controls", "system"):
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "functions" / _folder))

import pytest  # noqa: E402 - the functions' packages have to be importable first
from moto import mock_aws  # noqa: E402

from tests import moto_gaps  # noqa: E402
from tests.samples.stored import FOLDER  # noqa: E402
from tests.samples.story import documents  # noqa: E402
from tests.wire import WIRE  # noqa: E402
from tests.world import VARIABLES, World  # noqa: E402


def main(release: str) -> int:
    """Write the folder of a release; one that is there stays as it is."""
    folder = FOLDER / release
    if folder.exists():
        sys.stderr.write(f"{folder} is there: what a release wrote does not change. Name a new release.\n")
        return 1
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("AWS_ENDPOINT_URL", raising=False)  # as of a sandbox: moto would not see the calls
        for name, value in VARIABLES.items():
            patch.setenv(name, value)
        moto_gaps.install(patch)
        with mock_aws():
            found = documents(World(WIRE))
    folder.mkdir()
    for name, document in found.items():
        (folder / f"{name}.json").write_text(json.dumps(document, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
