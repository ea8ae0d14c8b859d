"""What a function's runtime means on the tables' day, 20 November 2026."""

from __future__ import annotations

from typing import Any

from tests.cases.case import Case

EDGE = "arn:aws:lambda:eu-west-1:123456789012:function:us-east-1.orders"
TODAY, EARLY = {"warn_days": 0}, {"warn_days": 365}


def zipped(runtime: str | None) -> dict[str, Any]:
    """Return the state of a function that came as an archive."""
    return {"Runtime": runtime, "PackageType": "Zip"}


CASES = (
    Case("a runtime with years to go", zipped("python3.14"), "Compliant"),
    Case("a runtime whose end is far enough away", zipped("nodejs22.x"), "Compliant", parameters=TODAY),
    Case("its end is known to be 161 days off", zipped("nodejs22.x"), "NonCompliant", "deprecated from 2027-04-30"),
    Case("a longer warning comes earlier", zipped("python3.11"), "NonCompliant", "2027-06-30", parameters=EARLY),
    Case("the usual warning comes later", zipped("python3.11"), "Compliant"),
    Case("what is deprecated is told with all its days", zipped("python3.9"), "NonCompliant",
         "python3.9 is deprecated from 2025-12-15; Lambda blocks new functions on it from 2027-02-01 and updates"
         " from 2027-03-03: move to python3.14"),
    Case("it is told without any warning, too", zipped("python3.10"), "NonCompliant", "2026-10-31", parameters=TODAY),
    Case("what was deprecated ten days ago", zipped("dotnet8"), "NonCompliant", "move to dotnet10", parameters=TODAY),
    Case("Go has gone to the runtimes of one's own", zipped("go1.x"), "NonCompliant", "move to provided.al2023"),
    Case("what ran at the edge", zipped("nodejs4.3-edge"), "NonCompliant", "move to nodejs24.x"),
    Case("the newest of a language", zipped("ruby4.0"), "NonCompliant", "move to a newer one once AWS releases it",
         parameters={"warn_days": 1000}),
    Case("a runtime newer than the list is no alarm", zipped("python3.15"), "NotApplicable", "not in Evenkeel"),
    Case("a word that is no runtime is no alarm", zipped("cobol"), "NotApplicable", "cobol is not in Evenkeel"),
    Case("no runtime is no alarm", zipped(None), "NotApplicable", "not in Evenkeel"),
    Case("an image brings its own", {"Runtime": None, "PackageType": "Image"}, "NotApplicable", "image"),
    Case("an answer without a package type is of an archive", {"Runtime": "ruby2.7", "PackageType": None},
         "NonCompliant", "ruby2.7"),
    Case("a copy at the edge is told as the function itself", zipped("nodejs18.x"), "NotApplicable", "Lambda@Edge",
         arn=EDGE),
)  # fmt: skip
