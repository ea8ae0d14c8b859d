"""The contract of a control: one desired state of one resource type, declared and judged, never acted on.

A control is one class in one module of a group's package (``functions/controls/<group>/<name>.py``). Its id,
group, title and docs page derive from the module's path and the class's docstring.
"""

from __future__ import annotations

import inspect
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar

from botocore.exceptions import ClientError

from evenkeel.control.triggers import SecurityHub
from evenkeel.errors import ErrorKind, classify, code
from evenkeel.model import Actor, Judgement, Mode, Place, Resource, Severity, State

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from evenkeel.control.triggers import Trigger
    from evenkeel.runtime.aws import Aws

SECTIONS = ("Why", "Blast radius", "Cost", "Undo", "Mode")
"""Sections that a control's docstring has, each a line that starts with the name and a colon."""
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

    ``on`` are ARN templates (``{partition}``, ``{region}``, ``{account}``); empty means the control's own resources.
    ``why`` is required where ``on`` holds ``*``: which fact of AWS forbids a narrower resource. Beside ``*`` may stand
    the templates of what the action is asked of, where that is not every resource of the control.
    """

    stage: Stage
    actions: tuple[str, ...]
    on: tuple[str, ...] = ()
    why: str = ""


@dataclass(frozen=True, slots=True)
class Frameworks:
    """The control's names in the standards people are audited against."""

    security_hub: tuple[str, ...] = ()
    """Ids of Security Hub CSPM's controls, e.g. ``("KMS.4",)``. Their findings trigger the control, too."""
    cis_3_0: str = ""
    nist_800_53: tuple[str, ...] = ()
    config_rule: str = ""


@dataclass(frozen=True, slots=True)
class Radius:
    """How many resources one control may change in one account in one window."""

    limit: int = 100
    window_seconds: int = 3600


@dataclass(frozen=True, slots=True)
class Merge:
    """How AWS takes several changes of one resource in one call of an operation.

    Two calls become one where ``keys`` are the same in both, no other parameter is in both, except ``lists``, and not
    both have a parameter of ``one_at_a_time``: those go out one after the other.
    """

    keys: tuple[str, ...]
    """Parameters that name the resource."""
    lists: tuple[str, ...] = ()
    """List parameters whose values may follow each other, such as API Gateway's ``patchOperations``."""
    one_at_a_time: tuple[str, ...] = ()
    """Parameters of which AWS takes one in a call, such as the kinds of DynamoDB's UpdateTable."""


class Env(str):
    """A parameter's default that the stack provides: the name of an environment variable."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Context:
    """Which resource is looked at, and what a judgement may depend on beside its state."""

    resource: Resource
    parameters: Mapping[str, Any]
    now: datetime
    actor: Actor = field(default_factory=Actor)
    creates: bool = False
    """The resource was made, or got its name, by the event at hand. It tells the resource's age, nothing else."""
    event: str = ""
    """The name of the event at hand. It says which questions are worth asking, never what their answers are."""
    found: bool = False
    """AWS Config or Security Hub found it so: it may have been so for years, and nobody asked to have it changed."""


class Control(ABC):
    """One desired state. Subclasses declare the class attributes and implement the three methods."""

    id: ClassVar[str]
    group: ClassVar[str]
    severity: ClassVar[Severity]
    default_mode: ClassVar[Mode]
    resource_type: ClassVar[str]
    """CloudFormation's type name, e.g. ``AWS::KMS::Key``, or words where there are many."""
    arn: ClassVar[str]
    """ARN template with ``{partition}``, ``{region}``, ``{account}`` and ``{id}``; empty for many types.

    Without ``{id}`` there is one such resource in an account and region; CloudTrail's ``recipientAccountId`` names it.
    """
    frameworks: ClassVar[Frameworks] = Frameworks()
    triggers: ClassVar[tuple[Trigger, ...]]
    permissions: ClassVar[tuple[Grant, ...]]
    parameters: ClassVar[Mapping[str, Any]] = {}
    """The settings' parameters with their defaults."""
    blast_radius: ClassVar[Radius] = Radius()
    always_settles: ClassVar[bool] = False
    """Wait the settle time after every creation and tag change, not only after infrastructure-as-code's creations."""
    urgent: ClassVar[bool] = False
    """A change by infrastructure as code does not wait for the settle time, unless its trigger says that it settles."""
    appears_within: ClassVar[timedelta] = timedelta(minutes=2)
    """How long after its creation a resource that AWS does not find may still be about to appear."""
    undo_replaces: ClassVar[bool] = False
    """Undo puts back a whole document that others write into, too: it cannot be forced once somebody changed that."""
    yields: ClassVar[bool] = True
    """Give in after a tug of war, and to a freeze; False where leaving the resource as it is would blind Evenkeel."""
    state_has_ids: ClassVar[bool] = False
    """A state holds ids that AWS assigns anew when the same weakness is made again."""
    global_events: ClassVar[bool] = False
    """Its service's events appear in one region of a partition only, as IAM's do; its group is deployed there."""
    announces: ClassVar[bool] = False
    """Some findings are announced whatever the mode: ``judge`` gives a caution, leaves something or changes nothing.

    Then, and in ``notify``, the state item of a compliant resource is read, so that an announcement can be forgotten.
    """
    busy_codes: ClassVar[frozenset[str]] = frozenset()
    """Error codes of AWS that mean "not ready yet" for this control's calls, beside the common ones."""
    gone_codes: ClassVar[frozenset[str]] = frozenset()
    """Error codes of AWS that mean "there is no such resource" for this control's calls, beside the common ones."""
    done_codes: ClassVar[frozenset[str]] = frozenset()
    """Error codes of AWS that mean "it is already so" for this control's undo calls."""
    merges: ClassVar[Mapping[str, Merge]] = {}
    """Operations that change only what they name: what several controls find on one resource goes out as one call."""

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
        """The docstring's sections by their names, each as one line; what is not written is not there."""
        parts = _SECTION.split(inspect.cleandoc(type(self).__doc__ or ""))
        return {name: " ".join(text.split()) for name, text in zip(parts[1::2], parts[2::2], strict=True)}

    @abstractmethod
    def read(self, aws: Aws, context: Context) -> State:
        """Read the live state, asking first the question that most often ends the matter.

        Raises:
            ClientError: as AWS answered; the engine decides what it means.
        """

    @abstractmethod
    def judge(self, state: State, context: Context) -> Judgement:
        """Judge a state; pure."""

    def resolve(self, aws: Aws, resource: Resource) -> Resource:  # noqa: ARG002 - for those with other names
        """Return a resource by its own ARN, where an event may know it by another name.

        Raises:
            ClientError, ResourceMissingError: as :meth:`read`.
        """
        return resource

    def essence(self, state: State) -> Any:
        """Return what of a state a person would call the same or not, without what AWS assigns or counts."""
        return state

    def fault(self, state: State) -> Any:
        """Return what of a weak state is wrong: by default its essence, less where that holds what others change daily.

        Two findings with another fault, or of another kind, are two findings; see
        :mod:`evenkeel.remediation.fingerprint`.
        """
        return self.essence(state)

    @abstractmethod
    def discover(self, aws: Aws, place: Place) -> Iterator[str]:
        """Yield the ARNs of all resources of the type in the account and region."""

    def check_parameters(self, parameters: Mapping[str, Any]) -> str:  # noqa: ARG002 - for those with rules of their own
        """Say what is wrong with parameters of the right types (``name: problem; what to write``), or nothing."""
        return ""

    def partial_failure(self, answer: dict[str, Any]) -> ClientError | None:  # noqa: ARG002 - for those that have one
        """Return the error that AWS hid inside a successful answer to one of the control's calls, if any."""
        return None

    def kind(self, error: Exception) -> ErrorKind:
        """Say what an error means, by the control's own codes first."""
        name = code(error) if isinstance(error, ClientError) else ""
        if name in self.busy_codes:
            return ErrorKind.TRANSIENT
        return ErrorKind.NOT_FOUND if name in self.gone_codes else classify(error)

    def applies_to(self, arn: str) -> bool:
        """Say whether an ARN is of the control's type."""
        return fits(self.arn, arn)

    @property
    def all_triggers(self) -> tuple[Trigger, ...]:
        """All that wakes it: what it declares, and the findings of the Security Hub controls that it maps to."""
        ids = self.frameworks.security_hub
        return (*self.triggers, SecurityHub(ids)) if ids else self.triggers

    @property
    def of_the_account(self) -> bool:
        """Say whether there is one such resource in an account and region: a setting, which nobody can tag."""
        return bool(self.arn) and "{id}" not in self.arn

    @property
    def only_announces(self) -> bool:
        """Say whether the control never changes anything: it asks for no permission to."""
        return not any(grant.stage is Stage.APPLY for grant in self.permissions)


def fits(template: str, arn: str) -> bool:
    """Say whether an ARN is of a template: same service, and same prefix before the id or same name without.

    It is exact, so that no resource has two ARNs here and what is said of one, an exemption, holds for it. Region and
    account are there where the template has them. An id holds no colon, as of none of the types it does: Lambda and
    DynamoDB take parts of an ARN, a whole ARN and a qualifier for a name, too.
    """
    wanted, given = template.split(":", 5), arn.split(":", 5)
    if len(given) < len(wanted) or given[0] != "arn" or wanted[2] != given[2]:
        return False
    if [bool(part) for part in wanted[3:5]] != [bool(part) for part in given[3:5]]:
        return False
    prefix, an_id, _ = wanted[5].partition("{id}")
    if not an_id:
        return given[5] == prefix
    return given[5].startswith(prefix) and len(given[5]) > len(prefix) and ":" not in given[5][len(prefix) :]
