"""What a resource's tags mean for the required ones."""

from __future__ import annotations

from evenkeel.model import Call
from tests.cases.case import Case
from tests.world import ACCOUNT, REGION

ARN = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/orders"
QUEUE = f"arn:aws:sqs:{REGION}:{ACCOUNT}:orders"
BUCKET = "arn:aws:s3:::orders"
API = "resourcegroupstaggingapi"
ALL = {"Owner": "alice", "Environment": "prod", "Project": "shop", "CostCenter": "42"}
VALUES = {"values": {"Environment": "prod", "Project": "shop", "CostCenter": "42"}}
OWNER_ONLY = {"required": ["Owner"]}


def tag(arn: str = ARN, **tags: str) -> tuple[Call, ...]:
    """Return the call that adds tags."""
    return (Call(API, "tag_resources", {"ResourceARNList": [arn], "Tags": tags}),)


def untag(*keys: str, arn: str = ARN) -> tuple[Call, ...]:
    """Return the call that takes tags off."""
    return (Call(API, "untag_resources", {"ResourceARNList": [arn], "TagKeys": list(keys)}),)


CASES = (
    Case("all keys are there", {"Tags": ALL}, "Compliant"),
    Case("tags beside the required are nobody's business", {"Tags": {**ALL, "team": "x"}}, "Compliant"),
    Case("no key is required", {"Tags": {}}, "Compliant", parameters={"required": []}),
    Case("what takes no tags is left alone, whatever is known", {"Tags": {}, "Spared": "the key is being deleted"},
         "NotApplicable", "the key is being deleted", parameters=VALUES, creates=True, owner="alice"),
    Case("an untagged new resource gets all that is known", {"Tags": {}}, "NonCompliant",
         "lacks Owner, Environment, Project, CostCenter", tag(Owner="alice", Environment="prod", Project="shop",
         CostCenter="42"), untag("CostCenter", "Environment", "Owner", "Project"), parameters=VALUES, creates=True,
         owner="alice"),
    Case("only what is missing is added", {"Tags": {"Owner": "bob", "Project": "own"}}, "NonCompliant",
         "lacks Environment, CostCenter", tag(Environment="prod", CostCenter="42"),
         untag("CostCenter", "Environment"), parameters=VALUES, creates=True, owner="alice"),
    Case("a key in other letters gets no second one beside it", {"Tags": {"owner": "bob"}}, "NonCompliant",
         "lacks Owner", parameters=OWNER_ONLY, creates=True, owner="alice",
         remains="owner is set instead of Owner: rename it"),
    Case("other keys are added all the same", {"Tags": {"OWNER": "bob"}}, "NonCompliant", "lacks Owner, Project",
         tag(Project="shop"), untag("Project"), parameters={**VALUES, "required": ["Owner", "Project"]}, creates=True,
         owner="alice", remains="OWNER is set instead of Owner"),
    Case("a key in other letters that is required, too, is one of its own", {"Tags": {"owner": "bob"}},
         "NonCompliant", "lacks Owner", tag(Owner="alice"), untag("Owner"),
         parameters={"required": ["owner", "Owner"]}, creates=True, owner="alice"),
    Case("a table that is being created cannot be tagged yet", {"Tags": {}, "Busy": "the table is being created"},
         "NotReady", "being created", parameters=OWNER_ONLY, creates=True, owner="alice"),
    Case("a key without a value that is known is told to people", {"Tags": {"Owner": "bob", "Environment": "prod",
         "Project": "shop"}}, "NonCompliant", "lacks CostCenter", remains="no value is known for CostCenter"),
    Case("what is known is done, what is not is told", {"Tags": {}}, "NonCompliant", "lacks Owner", tag(Owner="alice"),
         untag("Owner"), remains="no value is known for Environment, Project, CostCenter", creates=True, owner="alice"),
    Case("who removes a tag is not the owner", {"Tags": {}}, "NonCompliant", "lacks Owner", parameters=OWNER_ONLY,
         remains="no value is known for Owner", owner="mallory"),
    Case("a creation by nobody known has no owner", {"Tags": {}}, "NonCompliant", "lacks Owner", parameters=OWNER_ONLY,
         remains="for Owner", creates=True),
    Case("the settings' owner goes first", {"Tags": {}}, "NonCompliant", "lacks Owner", tag(Owner="platform"),
         untag("Owner"), parameters={**OWNER_ONLY, "values": {"Owner": "platform"}}, creates=True, owner="alice"),
    Case("a tag that someone left empty is theirs", {"Tags": {"Owner": ""}}, "NonCompliant", "Owner is empty",
         parameters=OWNER_ONLY, remains="Owner is empty; Evenkeel never overwrites", creates=True, owner="alice"),
    Case("an empty tag is not overwritten by the settings either", {"Tags": {"Owner": "bob", "Environment": ""}},
         "NonCompliant", "lacks Project; Environment is empty", tag(Project="shop"), untag("Project"),
         remains="Environment is empty; Evenkeel never overwrites",
         parameters={**VALUES, "required": ["Environment", "Project"]}),
    Case("an owner's name is cleaned of what tags do not take", {"Tags": {}}, "NonCompliant", "lacks Owner",
         tag(Owner="a_b_c@d.e/f+g=h:i-j"), untag("Owner"), parameters=OWNER_ONLY, creates=True,
         owner="a!b;c@d.e/f+g=h:i-j"),
    Case("a name of other letters stays", {"Tags": {}}, "NonCompliant", "lacks Owner", tag(Owner="Zoë Ångström"),
         untag("Owner"), parameters=OWNER_ONLY, creates=True, owner="Zoë Ångström"),
    Case("an owner's name is cut to what tags hold", {"Tags": {}}, "NonCompliant", "lacks Owner", tag(Owner="x" * 256),
         untag("Owner"), parameters=OWNER_ONLY, creates=True, owner="x" * 300),
    Case("who creates a queue may find it there: no owner is inferred", {"Tags": {}}, "NonCompliant", "lacks Owner",
         parameters=OWNER_ONLY, remains="no value is known for Owner", creates=True, owner="alice", arn=QUEUE),
    Case("a queue gets the settings' owner", {"Tags": {}}, "NonCompliant", "lacks Owner",
         tag(QUEUE, Owner="platform"), untag("Owner", arn=QUEUE),
         parameters={**OWNER_ONLY, "values": {"Owner": "platform"}}, creates=True, owner="alice", arn=QUEUE),
    Case("outside us-east-1 only its maker creates a bucket", {"Tags": {}}, "NonCompliant", "lacks Owner",
         tag(BUCKET, Owner="alice"), untag("Owner", arn=BUCKET), parameters=OWNER_ONLY, creates=True, owner="alice",
         arn=BUCKET),
)  # fmt: skip

SETTINGS = {"parameters": {"values": ALL}}
"""With these, missing keys are added whoever asks."""
