"""Prints what a deployment would change, including nested stacks: ``make changes STACK=evenkeel-prod``.

Builds and packages the template as ``sam deploy`` does, creates a change set of the root and its nested stacks (sam
shows the root's only), prints it and deletes it. Nothing is deployed.

Exit codes: 0 success, with or without changes; 1 CloudFormation or sam refused; 2 wrong usage; 3 success, but a
resource that holds data, or whose id is used elsewhere, would be replaced or removed.
"""

from __future__ import annotations

import argparse
import difflib
import hashlib
import json
import subprocess
import sys
import tomllib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError, NoRegionError
from samcli.cli.types import CfnParameterOverridesType, CfnTags

from evenkeel.plurals import plural
from evenkeel_cli.ui import closed_pipe, console
from sandbox.deploy.template import load
from tools.change_set import ChangeSet, RefusedError, Wanted, delete, make

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rich.console import Console

    from tools.change_set import Change

BUILT = Path(".aws-sam/build/template.yaml")
PACKAGED = Path(".aws-sam/packaged.yaml")
SAM_STACK = "aws-sam-cli-managed-default"
"""The stack of the bucket that ``resolve_s3`` uses; ``sam package`` creates it if there is none."""
PROTECT_LAST = (
    "Create it with Protect=false and protect it afterwards: a failed creation cannot delete a protected table."
)
SHOWN, REFUSED, USAGE, LOSS = 0, 1, 2, 3


class UsageError(ValueError):
    """The configuration file does not define the deployment; the message says what to add."""


@dataclass(frozen=True)
class Deployment:
    """An environment of the configuration file, as ``sam deploy --config-env`` reads it."""

    stack: str
    parameters: Mapping[str, str]
    capabilities: Sequence[str]
    tags: Mapping[str, str]
    prefix: str
    region: str | None
    profile: str | None


def deployment(config: Path, environment: str, stack: str) -> Deployment:
    """Return an environment of the configuration file; if none is named, the one that deploys the stack.

    Raises:
        UsageError: there is no such file or environment, or none deploys the stack.
    """
    try:
        document = tomllib.loads(config.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{config}: {error}") from error
    every = {name: _parameters(body) for name, body in document.items() if isinstance(body, dict)}
    if not environment:
        found = [name for name, body in every.items() if body.get("stack_name") == stack] if stack else ["default"]
        if not found:
            raise UsageError(f"no environment of {config} deploys {stack}; name one with ENV=…")
        environment = found[-1]  # prod, not prod-first
    if environment not in every:
        raise UsageError(f"{config} has no environment {environment}; it has {', '.join(every)}")
    given = every[environment]
    name = stack or given.get("stack_name")
    if not name:
        raise UsageError(f"{config} names no stack for {environment}; name one with STACK=…")
    capabilities = given.get("capabilities", [])
    return Deployment(
        stack=name,
        parameters=_converted(CfnParameterOverridesType(), given.get("parameter_overrides")),
        capabilities=capabilities.split() if isinstance(capabilities, str) else capabilities,
        tags=_converted(CfnTags(), given.get("tags")),
        prefix=given.get("s3_prefix", name),
        region=given.get("region"),
        profile=given.get("profile"),
    )


def _parameters(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return an environment's parameters as ``sam deploy`` reads them: its own over those of all commands."""
    return {**body.get("global", {}).get("parameters", {}), **body.get("deploy", {}).get("parameters", {})}


def _converted(kind: Any, value: str | Sequence[str] | None) -> dict[str, str]:
    """Return pairs of names and values as sam reads them."""
    return dict(kind.convert(tuple([value] if isinstance(value, str) else value), None, None)) if value else {}


def packaged(where: Deployment, session: boto3.Session) -> Wanted:
    """Build and package the template with sam, upload it, and return the deployment's arguments.

    Raises:
        RefusedError: sam cannot build or package.
    """
    _sam("build")
    place = [part for option, value in (("--region", where.region), ("--profile", where.profile)) if value
             for part in (option, value)]  # fmt: skip
    _sam("package", "--template-file", str(BUILT), "--output-template-file", str(PACKAGED), "--resolve-s3",
         "--s3-prefix", where.prefix, *place)  # fmt: skip
    outputs = session.client("cloudformation").describe_stacks(StackName=SAM_STACK)["Stacks"][0]["Outputs"]
    bucket = next(each["OutputValue"] for each in outputs if each["OutputKey"] == "SourceBucket")
    return Wanted(
        stack=where.stack,
        template_url=uploaded(session.client("s3"), bucket, where.prefix, PACKAGED.read_bytes()),
        parameters=where.parameters,
        names=list(load(PACKAGED)["Parameters"]),
        capabilities=where.capabilities,
        tags=where.tags,
    )


def uploaded(s3: Any, bucket: str, prefix: str, template: bytes) -> str:
    """Upload a template under a name of its own, as sam does, and return its URL."""
    key = f"{prefix}/{hashlib.sha256(template).hexdigest()[:32]}.template"
    s3.put_object(Bucket=bucket, Key=key, Body=template)
    return f"{s3.meta.endpoint_url}/{bucket}/{key}"


def _sam(*arguments: str) -> None:
    """Run sam; its output is printed on stderr only if it fails."""
    sam = Path(sys.executable).with_name("sam")
    print(f"sam {arguments[0]} ...", file=sys.stderr)
    done = subprocess.run([sam, *arguments], capture_output=True, text=True, check=False)  # noqa: S603  # nosec B603 - sam of this environment
    if done.returncode:
        print(done.stdout, done.stderr, sep="", file=sys.stderr)
        raise RefusedError(f"sam {arguments[0]} failed; see its output above")


def show(out: Console, stack: str, made: ChangeSet) -> None:
    """Print a table of the changes, the changes of permissions as far as known, and a summary."""
    if made.creates:
        out.print(f"{stack} does not exist yet: it would be created.")
    if not made.changes:
        out.print(f"Nothing would change in {stack}.")
        return
    rows = []
    for each in made.changes:
        mark = "!" if each.loses else "permission" if each.grants else ""
        what = ", ".join(dict.fromkeys(part.name for part in each.properties))
        rows.append((mark, each.stack or stack, each.logical_id, each.resource_type, _action(each), what))
    console.table(out, ("", "stack", "resource", "type", "action", "what changes"), rows)
    for each in made.changes:
        if each.grants:
            for line in _values(each):
                out.print(line, markup=False)
    lost = [f"{each.stack or stack} {each.logical_id}" for each in made.changes if each.loses]
    if lost:
        out.print(f"These hold data or ids used elsewhere, and would be replaced or removed: {', '.join(lost)}")
    out.print(f"{plural(len(made.changes), 'change')}, {sum(each.grants for each in made.changes)} of permissions")


def _action(change: Change) -> str:
    """Return the action in a word."""
    if change.action != "Modify":
        return change.action.lower()
    return {"False": "update", "True": "replace", "Conditional": "may replace"}[change.replacement]


def _values(change: Change) -> Iterator[str]:
    """Yield the lines that differ between a permission's old and new value."""
    for part in change.properties:
        if part.before is not None and part.after is not None:
            lines = difflib.unified_diff(_lines(part.before), _lines(part.after), n=0, lineterm="")
            where = f"{change.stack} {change.logical_id} {part.path or part.name}".strip()
            yield "\n".join([where, *(f"  {line}" for line in list(lines)[2:] if not line.startswith("@@"))])


def _lines(value: str) -> list[str]:
    """Return a value's lines; JSON is indented."""
    try:
        return json.dumps(json.loads(value), indent=1).splitlines()
    except ValueError:
        return value.splitlines()


def as_json(stack: str, made: ChangeSet) -> str:
    """Return the changes as JSON."""
    changes = [{**asdict(each), "grants": each.grants, "loses": each.loses} for each in made.changes]
    return json.dumps({"stack": stack, "creates": made.creates, "changes": changes}, indent=2)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what a deployment would change; return the exit code."""
    parser = argparse.ArgumentParser(description="Print what a deployment would change, including nested stacks.")
    parser.add_argument("--stack", default="", help="name of the stack; default: that of the environment")
    parser.add_argument("--env", default="", help="environment in the file; default: the one that deploys the stack")
    parser.add_argument("--config-file", type=Path, default=Path("samconfig.toml"))
    parser.add_argument("--output", choices=("table", "json"), default="table")
    parser.add_argument("--keep", action="store_true", help="keep the change set, to inspect or execute it")
    given = parser.parse_args(arguments)
    errors = console.errors()
    try:
        where = deployment(given.config_file, given.env, given.stack)
        session = boto3.Session(profile_name=where.profile, region_name=where.region)
        client = session.client("cloudformation")
        made = make(client, packaged(where, session))
        if given.keep and made.changes:
            errors.print(f"kept: {made.identifier}", soft_wrap=True)
        else:
            delete(client, made)
    except NoRegionError:
        errors.print("no region: set AWS_DEFAULT_REGION, or add region = … to the configuration file")
        return USAGE
    except UsageError as error:
        errors.print(str(error), soft_wrap=True, markup=False)
        return USAGE
    except (RefusedError, ClientError, BotoCoreError) as error:
        errors.print(f"Failed: {error}", soft_wrap=True, markup=False)
        return REFUSED
    if made.creates and where.parameters.get("Protect") == "true":
        errors.print(PROTECT_LAST, soft_wrap=True)
    if given.output == "json":
        print(as_json(where.stack, made))
    else:
        show(console.results(), where.stack, made)
    return LOSS if any(each.loses for each in made.changes) else SHOWN


if __name__ == "__main__":
    with closed_pipe.quiet():
        sys.exit(main())
