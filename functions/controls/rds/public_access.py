"""RDS databases have no public address."""

from __future__ import annotations

from evenkeel.control import (
    Change,
    Compliant,
    Context,
    Frameworks,
    Grant,
    Judgement,
    Mode,
    NonCompliant,
    NotApplicable,
    Severity,
    Stage,
    State,
)
from rds import database

_SETTING = "PubliclyAccessible"


class PublicAccess(database.DatabaseControl):
    """RDS instances are not publicly accessible.

    Why: a database with a public address is one wrong security group away from everybody. Not heard: a
        blue/green deployment's green databases while they are made, since no call names them; they are read when the
        deployment is switched over.
    Blast radius: clients outside the VPC lose the database at once; those inside do not notice, nothing restarts.
        A Multi-AZ DB cluster is only ever announced: its public access is set when it is made.
    Cost: none.
    Undo: the instance is made publicly accessible again; its public address may be another one.
    Mode: notify, since nobody can see from here which clients would be cut off.
    """

    severity = Severity.CRITICAL
    default_mode = Mode.NOTIFY
    announces = True
    setting = _SETTING
    frameworks = Frameworks(
        security_hub=("RDS.2",),
        cis_3_0="2.3.3",
        nist_800_53=(
            *("AC-4", "AC-4(21)", "SC-7", "SC-7(4)", "SC-7(5)"),
            *("SC-7(11)", "SC-7(16)", "SC-7(21)"),
        ),
        config_rule="rds-instance-public-access-check",
    )
    triggers = (
        *database.CREATED,
        *database.BLUE_GREEN,
        *(database.INSTANCE_CHANGED, database.INSTANCE_RENAMED),
        *database.RECORDED,
    )
    permissions = (
        *database.READ_GRANTS,
        Grant(Stage.APPLY, ("rds:ModifyDBInstance",), on=database.INSTANCES),
        Grant(Stage.UNDO, ("rds:ModifyDBInstance",), on=database.INSTANCES),
    )

    def judge(self, state: State, context: Context) -> Judgement:
        """Find public instances, Aurora's among them, and public Multi-AZ DB clusters."""
        is_cluster = database.is_cluster(context.resource.arn)
        outside = database.not_judged(state) or _set_elsewhere(state, is_cluster=is_cluster)
        if outside:
            return outside
        if not state[_SETTING]:
            return Compliant()
        unready = database.unready(state)
        if unready:
            return unready
        if is_cluster:  # ModifyDBCluster has no such parameter (API reference)
            return NonCompliant("a Multi-AZ DB cluster is publicly accessible; restore it into one that is not")
        if database.is_custom(state):
            return NonCompliant("is publicly accessible; change it by hand, RDS Custom is not changed from here")
        change = Change(
            calls=(database.modify(context, _SETTING, value=False),),
            undo=(database.modify(context, _SETTING, value=True),),
            residue="the public address that the instance had may not come back",
        )
        return NonCompliant("is publicly accessible", change)


def _set_elsewhere(state: State, *, is_cluster: bool) -> NotApplicable | None:
    """Return where public access is set instead (API reference, CreateDBCluster: of Multi-AZ DB clusters only)."""
    if is_cluster and database.is_aurora(state):
        return NotApplicable("each instance of an Aurora cluster is public or not by itself")
    if state["MemberOf"] and not database.is_aurora(state):
        return NotApplicable(f"public access is set on its Multi-AZ DB cluster {state['MemberOf']}")
    return None
