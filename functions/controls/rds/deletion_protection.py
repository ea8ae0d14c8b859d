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
        Not detected: the green databases of a blue/green deployment while they are being created, since no event names
        them; they are checked when the deployment is switched over.
    Blast radius: none for clients; it takes effect at once, without a restart. Anything that deletes the database fails
        until protection is turned off, for example the teardown of a CloudFormation or Terraform stack.
    Cost: none of its own; a database that a teardown could not delete is still billed.
    Undo: deletion protection is turned off again.
    Mode: notify, since teardowns fail under protection, and turning it off is the first step of every intended
        deletion, which `enforce` would revert. Exempt short-lived databases before you set it to enforce.
    Runbook: ask the database's owner whether the database is about to be deleted; if so, nothing is left to do.
        Otherwise run the command in the alert, or turn protection on by hand for RDS Custom. `aws rds
        describe-db-instances --db-instance-identifier NAME` or `aws rds describe-db-clusters --db-cluster-identifier
        NAME` shows the setting. Exempt databases that tests or pipelines create and delete.
    """

    severity = Severity.MEDIUM
    default_mode = Mode.NOTIFY
    reference = (
        "https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/"
        "USER_DeleteInstance.html#USER_DeleteInstance.DeletionProtection"
    )
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
        """Find unprotected DB clusters, and unprotected instances outside a DB cluster."""
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
            return NonCompliant("deletion protection is off; turn it on by hand, Evenkeel does not change RDS Custom")
        change = Change(
            calls=(database.modify(context, _SETTING, value=True),),
            undo=(database.modify(context, _SETTING, value=False),),
        )
        return NonCompliant("deletion protection is off", change)
