"""RDS databases cannot be deleted by a single call."""

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

_SETTING = "DeletionProtection"


class DeletionProtection(database.DatabaseControl):
    """RDS instances and DB clusters are protected against deletion.

    Why: a wrong script or stolen credentials cannot delete a database with one call; it takes a second, visible one.
        Not heard: a blue/green deployment's green databases while they are made, since no call names them; they are
        read when the deployment is switched over.
    Blast radius: none for clients; it holds at once, without a restart. Whatever deletes the database fails from then
        on until protection is switched off, as when a CloudFormation or Terraform stack is torn down.
    Cost: none of its own; a database that a teardown could not delete goes on being billed.
    Undo: deletion protection is switched off again.
    Mode: notify, since tear-downs fail under protection, and switching it off is the first half of every wanted
        deletion, which `enforce` would set back. Before it enforces, exempt the databases that come and go.
    """

    severity = Severity.MEDIUM
    default_mode = Mode.NOTIFY
    announces = True
    setting = _SETTING
    frameworks = Frameworks(
        security_hub=("RDS.7", "RDS.8"),
        nist_800_53=("CM-3", "SC-5(2)", "SI-13(5)"),
        config_rule="rds-instance-deletion-protection-enabled, rds-cluster-deletion-protection-enabled",
    )
    triggers = (
        *database.CREATED,
        *database.BLUE_GREEN,
        *(database.INSTANCE_CHANGED, database.INSTANCE_RENAMED),
        *(database.CLUSTER_CHANGED, database.CLUSTER_RENAMED),
        *database.RECORDED,
    )
    permissions = (
        *database.READ_GRANTS,
        Grant(Stage.APPLY, ("rds:ModifyDBInstance",), on=database.INSTANCES),
        Grant(Stage.APPLY, ("rds:ModifyDBCluster",), on=database.CLUSTERS),
        Grant(Stage.UNDO, ("rds:ModifyDBInstance",), on=database.INSTANCES),
        Grant(Stage.UNDO, ("rds:ModifyDBCluster",), on=database.CLUSTERS),
    )

    def judge(self, state: State, context: Context) -> Judgement:
        """Find unprotected clusters, and unprotected instances that are members of none."""
        outside = database.not_judged(state)
        if outside:
            return outside
        if state[_SETTING]:
            return Compliant()
        if state["MemberOf"]:  # AWS refuses it on a member (API reference, ModifyDBInstance)
            return NotApplicable(f"deletion protection is set on its DB cluster {state['MemberOf']}")
        unready = database.unready(state)
        if unready:
            return unready
        if database.is_custom(state):
            return NonCompliant("deletion protection is off; switch it on by hand, RDS Custom is not changed from here")
        change = Change(
            calls=(database.modify(context, _SETTING, value=True),),
            undo=(database.modify(context, _SETTING, value=False),),
        )
        return NonCompliant("deletion protection is off", change)
