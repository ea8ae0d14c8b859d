"""Everything that a control imports: ``from evenkeel.control import Control, Call, Change, …``."""

from evenkeel.arns import like
from evenkeel.control.arn_templates import fits, resource_arn
from evenkeel.control.contract import (
    SECTIONS,
    Context,
    Control,
    Env,
    Frameworks,
    Grant,
    Merge,
    ParameterProblem,
    Radius,
    Stage,
)
from evenkeel.control.triggers import CloudTrail, Config, SecurityHub, TagChange, Trigger, find
from evenkeel.errors import ErrorKind, ResourceMissingError, classify, code
from evenkeel.model import (
    Call,
    Change,
    Compliant,
    Judgement,
    Mode,
    NonCompliant,
    NotApplicable,
    NotReady,
    Place,
    Resource,
    Severity,
    State,
)
from evenkeel.plurals import plural
from evenkeel.runtime.aws import Aws
from evenkeel.runtime.tags import TAGGING, read_tags

__all__ = [
    "SECTIONS",
    "TAGGING",
    "Aws",
    "Call",
    "Change",
    "CloudTrail",
    "Compliant",
    "Config",
    "Context",
    "Control",
    "Env",
    "ErrorKind",
    "Frameworks",
    "Grant",
    "Judgement",
    "Merge",
    "Mode",
    "NonCompliant",
    "NotApplicable",
    "NotReady",
    "ParameterProblem",
    "Place",
    "Radius",
    "Resource",
    "ResourceMissingError",
    "SecurityHub",
    "Severity",
    "Stage",
    "State",
    "TagChange",
    "Trigger",
    "classify",
    "code",
    "find",
    "fits",
    "like",
    "plural",
    "read_tags",
    "resource_arn",
]
