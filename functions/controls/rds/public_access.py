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

    Why: a database with a public address is one wrong security group away from being open to everybody. Not
        detected: the green databases of a blue/green deployment while they are being created, since no event names
        them; they are checked when the deployment is switched over.
    Blast radius: clients outside the VPC lose the database at once; those inside do not notice, and nothing restarts. A
        Multi-AZ DB cluster is only announced: its public access can be set only at creation.
    Cost: none.
    Undo: the instance is made publicly accessible again; it may get a different public address.
    Mode: notify, since Evenkeel cannot see which clients would be cut off.
    Runbook: check first who can reach the database: `aws rds describe-db-instances --db-instance-identifier NAME` shows
        its security groups. Ask its owner which clients connect from outside the VPC, and move them to a VPN or a
        peered VPC. Then run the command in the alert. Exempt only an instance that must be public, with a security
        group that admits known addresses alone.
    """

    severity = Severity.CRITICAL
    default_mode = Mode.NOTIFY
    reference = "https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_VPC.WorkingWithRDSInstanceinaVPC.html"
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
        """Find public instances, including those of Aurora, and public Multi-AZ DB clusters."""
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
            return NonCompliant("the Multi-AZ DB cluster is publicly accessible; restore it to a cluster that is not")
        if database.is_custom(state):
            return NonCompliant("is publicly accessible; change it by hand, Evenkeel does not change RDS Custom")
        change = Change(
            calls=(database.modify(context, _SETTING, value=False),),
            undo=(database.modify(context, _SETTING, value=True),),
            residue="the instance may get a different public address",
        )
        return NonCompliant("is publicly accessible", change)


def _set_elsewhere(state: State, *, is_cluster: bool) -> NotApplicable | None:
    """Return where public access is set instead (API reference, CreateDBCluster: Multi-AZ DB clusters only)."""
    if is_cluster and database.is_aurora(state):
        return NotApplicable("public access is set on each instance of an Aurora cluster by itself")
    if state["MemberOf"] and not database.is_aurora(state):
        return NotApplicable(f"public access is set on its Multi-AZ DB cluster {state['MemberOf']}")
    return None
