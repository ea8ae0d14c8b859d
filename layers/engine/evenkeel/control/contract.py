"""The contract of a control: it declares one desired state of one resource type and judges it, but never acts.

A control is one class in one module of a group's package (``functions/controls/<group>/<name>.py``). Its id,
group, title and docs page are derived from the module's path and the class's docstring.
"""

from __future__ import annotations

import inspect
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from botocore.exceptions import ClientError

from evenkeel.control.arn_templates import fits
from evenkeel.control.triggers import SecurityHub
from evenkeel.errors import ErrorKind, classify, code
from evenkeel.model import Actor, Judgement, Mode, Place, Resource, Severity, State

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from evenkeel.control.triggers import Trigger
    from evenkeel.runtime.aws import Aws

SECTIONS = ("Why", "Blast radius", "Cost", "Undo", "Mode", "Runbook")
"""Sections of a control's docstring, in this order; each starts on a line with its name and a colon."""
_SECTION = re.compile(rf"^({'|'.join(SECTIONS)}):\s*", re.MULTILINE)
_FOLDER_EXCEPTIONS = {"awslambda": "lambda"}  # ``lambda`` is a keyword and cannot name a package


class Stage(StrEnum):
    """When a control needs a permission."""

    READ = "read"
    APPLY = "apply"
    UNDO = "undo"
    DISCOVER = "discover"


@dataclass(frozen=True, slots=True)
class Grant:
    """IAM actions a control needs in one stage.

    ``on`` holds ARN templates (``{partition}``, ``{region}``, ``{account}``); empty means the control's own resources.
    ``why`` is required if ``on`` holds ``*``: the fact of AWS that rules out a narrower resource. Besides ``*``, ``on``
    may hold the ARN templates of the resources that the action is about, if those are not all of the control's.
    """

    stage: Stage
    actions: tuple[str, ...]
    on: tuple[str, ...] = ()
    why: str = ""


@dataclass(frozen=True, slots=True)
class Frameworks:
    """The control's ids in the standards that people are audited against."""

    security_hub: tuple[str, ...] = ()
    """Ids of Security Hub CSPM controls, e.g. ``("KMS.4",)``. Their findings trigger the control, too."""
    cis_3_0: str = ""
    nist_800_53: tuple[str, ...] = ()
    config_rule: str = ""


@dataclass(frozen=True, slots=True)
class Radius:
    """The most resources that one control may change in one account in one window."""

    limit: int = 100
    window_seconds: int = 3600


@dataclass(frozen=True, slots=True)
class Merge:
    """Which calls of an operation AWS accepts as one.

    Two calls are sent as one if ``keys`` are the same in both, no other parameter except ``lists`` is in both, and at
    most one has a parameter of ``one_at_a_time``. All others are sent one after the other.
    """

    keys: tuple[str, ...]
    """Parameters that name the resource."""
    lists: tuple[str, ...] = ()
    """List parameters that can be concatenated, such as API Gateway's ``patchOperations``."""
    one_at_a_time: tuple[str, ...] = ()
    """Parameters of which AWS accepts one per call, such as the kinds of change of DynamoDB's UpdateTable."""


class Env(str):
    """The name of an environment variable in which the stack provides a parameter's default."""

    __slots__ = ()


class ParameterProblem(NamedTuple):
    """What is wrong with the value of a parameter."""

    parameter: str
    message: str
    """What is wrong, e.g. ``5 is not accepted``."""
    hint: str
    """What to write instead, e.g. ``write 90 to 2560``."""
    key: str = ""
    """Of a parameter with keys and values: the key whose value is wrong."""

    @property
    def place(self) -> str:
        """The parameter, or its key."""
        return f"{self.parameter}.{self.key}" if self.key else self.parameter

    def __str__(self) -> str:
        """Return it as one line of text."""
        return f"{self.place}: {self.message}; {self.hint}"


@dataclass(frozen=True, slots=True)
class Context:
    """The resource to judge, and everything besides its state that the judgement may depend on."""

    resource: Resource
    parameters: Mapping[str, Any]
    now: datetime
    actor: Actor = field(default_factory=Actor)
    creates: bool = False
    """The current event created the resource or gave it its name. This says how old it is, and nothing else."""
    event: str = ""
    """The current event's name. It may decide which reads are worthwhile, never what they return."""
    found: bool = False
    """AWS Config or Security Hub reported the resource: it may have been like this for years, and nobody asked for a
    change."""


class Control(ABC):
    """One desired state. Subclasses declare the class attributes and implement ``read``, ``judge`` and ``discover``."""

    id: ClassVar[str]
    group: ClassVar[str]
    severity: ClassVar[Severity]
    default_mode: ClassVar[Mode]
    resource_type: ClassVar[str]
    """CloudFormation's type name, e.g. ``AWS::KMS::Key``, or a description if there are many types."""
    arn: ClassVar[str]
    """ARN template with ``{partition}``, ``{region}``, ``{account}`` and ``{id}``; empty if there are many types.

    A template without ``{id}`` means one resource per account and region; CloudTrail's ``recipientAccountId`` names it.
    """
    reference: ClassVar[str]
    """URL of the page on docs.aws.amazon.com that explains the setting."""
    frameworks: ClassVar[Frameworks] = Frameworks()
    triggers: ClassVar[tuple[Trigger, ...]]
    permissions: ClassVar[tuple[Grant, ...]]
    parameters: ClassVar[Mapping[str, Any]] = {}
    """Parameters that the settings may change, with their defaults."""
    blast_radius: ClassVar[Radius] = Radius()
    always_settles: ClassVar[bool] = False
    """Wait for the settle time after every creation and tag change, not only if infrastructure as code made it."""
    urgent: ClassVar[bool] = False
    """Do not wait for the settle time after a change by infrastructure as code, unless the trigger sets ``settles``."""
    appears_within: ClassVar[timedelta] = timedelta(minutes=2)
    """How long after its creation a resource may still be missing from AWS's answers."""
    undo_replaces: ClassVar[bool] = False
    """Undo restores a whole document that other people also edit, so it cannot be forced once somebody changed it."""
    yields: ClassVar[bool] = True
    """Stop after a tug of war and during a freeze; False if leaving the resource as it is would blind Evenkeel."""
    state_has_ids: ClassVar[bool] = False
    """The state holds ids that AWS assigns again when somebody repeats the same misconfiguration."""
    global_events: ClassVar[bool] = False
    """The service's events appear in only one region of a partition, as IAM's do; the group is deployed there."""
    announces: ClassVar[bool] = False
    """Some findings are only announced, whatever the mode: ``judge`` returns a caution, a remainder or no change.

    For such controls, and in ``notify`` mode, the state item of a compliant resource is read as well, so that a finding
    that comes back is announced again.
    """
    busy_codes: ClassVar[frozenset[str]] = frozenset()
    """AWS error codes that mean "not ready yet" for this control's calls, besides the common ones."""
    gone_codes: ClassVar[frozenset[str]] = frozenset()
    """AWS error codes that mean "no such resource" for this control's calls, besides the common ones."""
    done_codes: ClassVar[frozenset[str]] = frozenset()
    """AWS error codes that mean "already done" for this control's undo calls."""
    merges: ClassVar[Mapping[str, Merge]] = {}
    """Operations that change only the settings they name, so that changes of several controls go out as one call."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Derive group and id from the module's path: ``kms.key_rotation`` is ``kms-key-rotation``."""
        super().__init_subclass__(**kwargs)
        folder, _, module = cls.__module__.rpartition(".")
        cls.group = _FOLDER_EXCEPTIONS.get(folder.rpartition(".")[2], folder.rpartition(".")[2])
        cls.id = f"{cls.group}-{module}".replace("_", "-")

    @property
    def title(self) -> str:
        """The docstring's first line: the desired state in one sentence."""
        return inspect.cleandoc(type(self).__doc__ or "").partition("\n")[0].rstrip(".")

    @property
    def sections(self) -> dict[str, str]:
        """The docstring's sections by name, each as one line; a section that is not written is left out."""
        parts = _SECTION.split(inspect.cleandoc(type(self).__doc__ or ""))
        return {name: " ".join(text.split()) for name, text in zip(parts[1::2], parts[2::2], strict=True)}

    @abstractmethod
    def read(self, aws: Aws, context: Context) -> State:
        """Read the live state. Make the call first that most often shows that the resource is compliant.

        Raises:
            ClientError: AWS refused; the engine decides what that means.
        """

    @abstractmethod
    def judge(self, state: State, context: Context) -> Judgement:
        """Judge a state, without any call."""

    def resolve(self, aws: Aws, resource: Resource) -> Resource:  # noqa: ARG002 - for overrides
        """Return the resource under its own ARN, if events may use another name for it.

        Raises:
            ClientError, ResourceMissingError: as in :meth:`read`.
        """
        return resource

    def essence(self, state: State) -> Any:
        """Return the part of a state that decides whether two states are the same, without AWS's ids and counters."""
        return state

    def fault(self, state: State) -> Any:
        """Return the part of a noncompliant state that is wrong: the essence, or less if that changes from day to day.

        Findings with different faults, or of different kinds, are different findings; see
        :mod:`evenkeel.remediation.fingerprint`.
        """
        return self.essence(state)

    @abstractmethod
    def discover(self, aws: Aws, place: Place) -> Iterator[str]:
        """Yield the ARNs of all resources of the type in the account and region."""

    def check_parameters(
        self,
        parameters: Mapping[str, Any],  # noqa: ARG002 - for overrides
    ) -> ParameterProblem | None:
        """Return the first problem of parameters that have the right types, or None."""
        return None

    def partial_failure(self, answer: dict[str, Any]) -> ClientError | None:  # noqa: ARG002 - for overrides
        """Return the error that a successful answer to one of the control's calls hides, if any."""
        return None

    def kind(self, error: Exception) -> ErrorKind:
        """Return what an error means; the control's own codes come first."""
        name = code(error) if isinstance(error, ClientError) else ""
        if name in self.busy_codes:
            return ErrorKind.TRANSIENT
        return ErrorKind.NOT_FOUND if name in self.gone_codes else classify(error)

    def applies_to(self, arn: str) -> bool:
        """Return whether an ARN is of the control's type."""
        return fits(self.arn, arn)

    @property
    def all_triggers(self) -> tuple[Trigger, ...]:
        """The declared triggers, and the findings of the Security Hub controls that it maps to."""
        ids = self.frameworks.security_hub
        return (*self.triggers, SecurityHub(ids)) if ids else self.triggers

    @property
    def of_the_account(self) -> bool:
        """Return whether there is one such resource per account and region: a setting, which cannot be tagged."""
        return bool(self.arn) and "{id}" not in self.arn

    @property
    def only_announces(self) -> bool:
        """Return whether the control never changes anything, since it declares no permission to."""
        return not any(grant.stage is Stage.APPLY for grant in self.permissions)
