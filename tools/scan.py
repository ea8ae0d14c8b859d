"""Runs the scanners over the template, its policies and the code: ``make scan``; every finding needs an explanation.

checkov reads the expanded template, parliament every role's policies, bandit the code. They have an
environment of their own (requirements/scanners.txt). A false finding is suppressed with its reason: checkov's in
``.checkov.yaml``, parliament's in :data:`EXPLAINED`, bandit's in a comment on the line.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

from evenkeel_cli.ui import closed_pipe
from tools.rendering import ROOT, Stack, expanded, templates

WORK = ROOT / "build" / "scan"
CODE = ("layers/engine/evenkeel", "functions", "cli", "sandbox", "tools")
EXPLAINED = {
    "RESOURCE_STAR: ['cloudwatch:DescribeAlarms']": "AppConfig's user guide asks for it so",
    **dict.fromkeys(
        (
            "RESOURCE_POLICY_PRIVILEGE_ESCALATION: Possible resource policy privilege escalation on"
            f" arn:aws:s3:::* due to s3:{action} not being allowed, but does allow s3:PutBucketPolicy"
            for action in ("DeleteObject", "GetObject", "PutObject")
        ),
        "a bucket's policy is put back by writing it; docs/security.md says what a taken-over function could do",
    ),
}
"""parliament's false findings, each with the reason."""
_ARNS = {
    "AWS::DynamoDB::Table": "dynamodb:eu-west-1:123456789012:table/{name}",
    "AWS::Events::EventBus": "events:eu-west-1:123456789012:event-bus/{name}",
    "AWS::KMS::Key": "kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
    "AWS::Lambda::Function": "lambda:eu-west-1:123456789012:function:{name}",
    "AWS::Logs::LogGroup": "logs:eu-west-1:123456789012:log-group:{name}:*",
    "AWS::SNS::Topic": "sns:eu-west-1:123456789012:{name}",
    "AWS::SQS::Queue": "sqs:eu-west-1:123456789012:{name}",
}


def arns(value: Any, stack: Stack) -> Any:
    """Return a policy's resources with every reference (``<Name.Arn>``) as an ARN of the right service and form."""
    if isinstance(value, list):
        return [arns(member, stack) for member in value]
    return re.sub(r"<(\w+)\.?(\w*)>", lambda found: _arn(found[1], found[2], stack), value)


def _arn(name: str, attribute: str, stack: Stack) -> str:
    form = _ARNS.get(stack.resources[name]["Type"])
    if form is None:  # an id inside an ARN
        return name.lower()
    stream = "/stream/label" if attribute == "StreamArn" else ""
    return f"arn:aws:{form.format(name=name)}{stream}"


def write() -> None:
    """Write the scanners' input: the expanded templates, and each role's policies as one document."""
    shutil.rmtree(WORK, ignore_errors=True)
    (WORK / "policies").mkdir(parents=True)
    for path in templates():
        (WORK / f"{path.replace('/', '-')}.json").write_text(json.dumps(expanded(path=path), indent=1))
    stack = Stack(parameters={"EnableUndo": "true"})
    statements: dict[str, list[Any]] = defaultdict(list)
    holders = {name: role["Policies"] for name, role in stack.of_type("AWS::IAM::Role").items()}
    holders |= {name: [policy] for name, policy in stack.of_type("AWS::IAM::Policy").items()}
    for name, policies in holders.items():
        for policy in policies:
            for each in policy["PolicyDocument"]["Statement"]:
                statements[name].append({**each, "Resource": arns(each["Resource"], stack)})
    for name, mine in statements.items():
        document = {"Version": "2012-10-17", "Statement": mine}
        (WORK / "policies" / f"{name}.json").write_text(json.dumps(document, indent=1))


def checkov(bin_folder: Path) -> list[str]:
    """Return checkov's findings on the expanded templates; without the false ones in ``.checkov.yaml``."""
    done = _run(
        bin_folder / "checkov", "--config-file", ".checkov.yaml", "--file", *sorted(WORK.glob("*.json")),
        "--output", "json",
    )  # fmt: skip
    report = json.loads(done.stdout)
    if not report["summary"]["passed"]:
        raise RuntimeError(f"checkov checked nothing: {done.stderr[-500:]}")
    failed = report["results"]["failed_checks"]
    return [f"checkov {each['check_id']} {each['resource']}: {each['check_name']}" for each in failed]


def parliament(bin_folder: Path) -> list[str]:
    """Return parliament's findings on the roles' policies that :data:`EXPLAINED` does not explain."""
    done = _run(bin_folder / "parliament", "--directory", str(WORK / "policies"), "--json")
    if done.returncode not in {0, 1}:
        raise RuntimeError(f"parliament did not run: {done.stderr[-500:]}")
    issues = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    found = {f"{each['issue']}: {each['detail']}" for each in issues}  # of several roles it names any
    stale = [f"parliament no longer finds this explained issue: {each}" for each in EXPLAINED.keys() - found]
    return stale + [f"parliament {each}" for each in sorted(found - EXPLAINED.keys())]


def bandit(bin_folder: Path) -> list[str]:
    """Return bandit's findings on the code."""
    done = _run(bin_folder / "bandit", "-q", "-r", *CODE, "-f", "json", "-c", "pyproject.toml")
    report = json.loads(done.stdout)
    if report["errors"] or not report["metrics"]["_totals"]["loc"]:
        raise RuntimeError(f"bandit did not read everything: {report['errors']}")
    return [
        f"bandit {each['test_id']} {each['filename']}:{each['line_number']}: {each['issue_text']}"
        for each in report["results"]
    ]


def _run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603  # nosec B603 - the scanners


def main() -> int:
    """Run all scanners of the environment whose ``bin`` folder is the only argument; return the exit code."""
    bin_folder = Path(sys.argv[1]).absolute()
    write()
    findings = [each for scan in (checkov, parliament, bandit) for each in scan(bin_folder)]
    print("\n".join(findings) or "checkov, parliament and bandit found nothing new")
    return 1 if findings else 0


if __name__ == "__main__":
    with closed_pipe.quiet():
        sys.exit(main())
