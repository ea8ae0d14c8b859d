"""Real Terraform beside Evenkeel with its defaults: apply, apply again, weaken, destroy.

The provider comes from a filesystem mirror on this machine where there is one, else from Terraform's registry.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.client import REPOSITORY
from tests.prove.beside import Account, evenkeel

if TYPE_CHECKING:
    from collections.abc import Iterator

    Attributes = dict[str, set[str]]

PAGE = REPOSITORY / "docs" / "infrastructure-as-code.md"
MIRRORS = ("/usr/local/share/terraform/plugins", "/usr/share/terraform/plugins", "/opt/*")
"""Where a provider may be on the machine: Terraform's own places (its docs, "Implied local mirrors"), and /opt."""
APPLY_SECONDS, SECOND_APPLY_SECONDS = 150.0, 60.0
ROTATION = "kms-key-rotation"
CONFIGURATION = """
terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "5.100.0"
    }
  }
}

provider "aws" {
  s3_use_path_style       = true
  skip_metadata_api_check = true
}

variable "rotate" {
  default = true
}

resource "aws_kms_key" "orders" {
  deletion_window_in_days = 7
}

resource "aws_kms_key" "rotating" {
  enable_key_rotation     = var.rotate
  deletion_window_in_days = 7
}

resource "aws_cloudwatch_log_group" "orders" {
  name = "/orders"
}

resource "aws_dynamodb_table" "orders" {
  name         = "orders"
  billing_mode = "PAY_PER_REQUEST"
  hash_key     = "id"
  attribute {
    name = "id"
    type = "S"
  }
}

resource "aws_s3_bucket" "orders" {
  bucket        = "orders-files"
  force_destroy = true
}

resource "aws_sns_topic" "orders" {
  name = "orders"
}

resource "aws_sqs_queue" "orders" {
  name = "orders"
}
"""


@dataclass(frozen=True)
class Terraform:
    """Terraform in a folder with the configuration, initialized."""

    account: Account
    folder: Path

    def __call__(self, *arguments: str, seconds: float = SECOND_APPLY_SECONDS) -> str:
        """Run a command that has to succeed; return what it printed."""
        return self.account.run(self.folder, ["terraform", *arguments], seconds, self.more)

    @property
    def more(self) -> dict[str, str]:
        """Variables that keep it away from the person's own configuration."""
        return {
            "TF_CLI_CONFIG_FILE": str(self.folder / "terraform.rc"),
            "CHECKPOINT_DISABLE": "1",
            "TF_IN_AUTOMATION": "1",
        }

    def apply(self, *variables: str, seconds: float = SECOND_APPLY_SECONDS) -> None:
        """Apply the configuration."""
        self("apply", "-auto-approve", "-input=false", *variables, seconds=seconds)

    def plan(self) -> str:
        """Plan, and return what people read of it."""
        return self("plan", "-input=false", "-out=plan", "-no-color")

    def changes(self) -> Attributes:
        """Return the attributes that the last plan changes, by the type of resource."""
        planned = json.loads(self("show", "-json", "plan"))
        found: Attributes = {}
        for each in planned["resource_changes"]:
            before, after = each["change"]["before"], each["change"]["after"]
            differing = {name for name in {*before, *after} if before.get(name) != after.get(name)}
            unknown = set(each["change"]["after_unknown"])
            found.setdefault(each["type"], set()).update(differing - unknown - {"tags_all"})
        return found


@pytest.fixture(scope="module")
def terraform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terraform]:
    """Return Terraform in an account that Evenkeel looks after."""
    if shutil.which("terraform") is None:
        pytest.skip("Terraform is not installed")
    folder = tmp_path_factory.mktemp("terraform")
    (folder / "main.tf").write_text(CONFIGURATION, encoding="utf-8")
    (folder / "terraform.rc").write_text(_installation(), encoding="utf-8")
    with evenkeel() as account:
        tool = Terraform(account, folder)
        try:
            tool("init", "-input=false", seconds=120)
        except (AssertionError, subprocess.TimeoutExpired) as error:
            pytest.skip(f"the AWS provider cannot be had: {str(error)[-300:]}")
        yield tool


def _installation() -> str:
    """Return Terraform's configuration, with the mirror that has the provider, if one has."""
    for pattern in MIRRORS:
        for found in Path("/").glob(f"{pattern.lstrip('/')}/registry.terraform.io/hashicorp/aws/5.100.0"):
            return f'provider_installation {{\n  filesystem_mirror {{\n    path = "{found.parents[3]}"\n  }}\n}}\n'
    return ""


def _listed() -> Attributes:
    """Return the attributes that the page says the next plan takes back, by the type of resource."""
    rows = re.findall(r"^\| `(aws_\w+)` \| (.*) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return {kind: set(re.findall(r"`(\w+)`", said)) for kind, said in rows}


def _ignoring() -> str:
    """Return the lines of the page with which Terraform ignores what Evenkeel sets."""
    [block] = re.findall(r"^```hcl\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return str(block)


def _keys(terraform: Terraform) -> dict[str, str]:
    """Return the ARNs of the keys by their names in the configuration."""
    state: Any = json.loads(terraform("show", "-json"))
    parts = state["values"]["root_module"]["resources"]
    return {each["name"]: each["values"]["arn"] for each in parts if each["type"] == "aws_kms_key"}


def test_terraform_and_evenkeel_get_along_as_the_page_says(terraform: Terraform) -> None:
    """If this fails, an apply hangs or fails beside Evenkeel, or the page promises a plan that nobody gets."""
    account = terraform.account
    terraform.apply(seconds=APPLY_SECONDS)
    keys = _keys(terraform)
    made = [(ROTATION, keys["orders"])] + [("tagging-required-tags", arn) for arn in keys.values()]
    region = f"{account.sandbox.region}:{account.sandbox.account}"
    group, table = f"arn:aws:logs:{region}:log-group:/orders", f"arn:aws:dynamodb:{region}:table/orders"
    made += [(control, group) for control in ("logs-group-retention", "logs-group-encryption", "tagging-required-tags")]
    made += [("dynamodb-point-in-time-recovery", table), ("tagging-required-tags", table)]
    made += [("tagging-required-tags", "arn:aws:s3:::orders-files")]
    for control, arn in made:
        assert "Terraform" in account.repair(control, arn)["waited"], (control, arn)

    terraform.plan()
    assert terraform.changes() == _listed()

    ignoring = terraform.folder / "page_override.tf"
    ignoring.write_text(_ignoring(), encoding="utf-8")
    assert "No changes" in terraform.plan()
    ignoring.unlink()

    terraform.apply()
    terraform.apply("-var", "rotate=false")
    record = account.repair(ROTATION, keys["rotating"])
    assert (record["outcome"], record["cause"]["event_name"]) == ("REMEDIATED", "DisableKeyRotation")
    assert "Terraform" in record["waited"]
    assert account.repair(ROTATION, keys["orders"], number=2)["cause"]["event_name"] == "DisableKeyRotation"

    terraform("destroy", "-auto-approve", "-input=false")
    assert "orders" not in account.sandbox.client("dynamodb").list_tables()["TableNames"]
