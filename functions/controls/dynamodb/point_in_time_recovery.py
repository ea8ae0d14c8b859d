"""DynamoDB tables can be restored to any second of the last days."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from dynamodb import table
from evenkeel.control import (
    Aws,
    Call,
    Change,
    Compliant,
    Context,
    Control,
    Frameworks,
    Grant,
    Judgement,
    Mode,
    NonCompliant,
    ParameterProblem,
    Place,
    Severity,
    Stage,
    State,
    code,
    plural,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_LONGEST = 35  # days; DynamoDB API reference, PointInTimeRecoverySpecification
_DOLLARS_PER_GIB_MONTH = 0.20  # AWS's price list, us-east-1
_GIB = 1024**3


class PointInTimeRecovery(Control):
    """DynamoDB tables have point-in-time recovery.

    Why: after a bad deployment or a wrong deletion, the table can be restored to any second of the last 35 days, or of
        the table's own shorter period.
    Blast radius: none for reads and writes.
    Cost: about 0.20 dollars a month per GiB of table size; tables above `max_table_gib` are only announced.
    Undo: recovery is turned off again; the history kept so far is lost.
    Mode: enforce, since it interrupts nothing and `max_table_gib` limits the cost.
    Runbook: if the alert says that the table is above `max_table_gib`, ask its owner whether the backups are worth the
        cost, then run the command in the alert. If DynamoDB did not report the size yet, run `evenkeel run
        dynamodb-point-in-time-recovery --resource ARN --apply` after six hours. `aws dynamodb
        describe-continuous-backups --table-name TABLE` shows the state. Exempt tables whose data can be rebuilt, such
        as caches.
    """

    severity = Severity.MEDIUM
    default_mode = Mode.ENFORCE
    reference = "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/PointInTimeRecovery.html"
    announces = True
    resource_type = table.RESOURCE_TYPE
    arn = table.ARN
    frameworks = Frameworks(
        security_hub=("DynamoDB.2",),
        nist_800_53=("CP-6(2)", "CP-9", "CP-10", "SC-5(2)", "SI-12", "SI-13(5)"),
        config_rule="dynamodb-pitr-enabled",
    )
    triggers = table.triggers("UpdateContinuousBackups", "UpdateTable")
    permissions = (
        Grant(Stage.READ, ("dynamodb:DescribeContinuousBackups", "dynamodb:DescribeTable")),
        Grant(Stage.APPLY, ("dynamodb:UpdateContinuousBackups",)),
        Grant(Stage.UNDO, ("dynamodb:UpdateContinuousBackups",)),
        table.DISCOVER_GRANT,
    )
    parameters = {"max_table_gib": 25, "min_recovery_days": 0}
    busy_codes = frozenset({"ContinuousBackupsUnavailableException"})

    def check_parameters(self, parameters: Mapping[str, Any]) -> ParameterProblem | None:
        """Require a recovery period that DynamoDB accepts; 0 leaves the period to the table's owner."""
        days = parameters["min_recovery_days"]
        if parameters["max_table_gib"] < 0:
            return ParameterProblem(
                "max_table_gib", f"{parameters['max_table_gib']} is not accepted", "write 0 or more"
            )
        if 0 <= days <= _LONGEST:
            return None
        return ParameterProblem("min_recovery_days", f"{days} is not accepted", f"write 0 (any) to {_LONGEST}")

    def read(self, aws: Aws, context: Context) -> State:
        """Read the backups first, and the table's size and status only if something must change."""
        name = table.name_of(context)
        try:
            backups = aws("dynamodb", "describe_continuous_backups", TableName=name)["ContinuousBackupsDescription"]
        except ClientError as error:
            if code(error) != "TableNotFoundException":
                raise
            # A table being created may have no backups to describe yet; if the table was deleted, this call fails.
            status = aws("dynamodb", "describe_table", TableName=name)["Table"]["TableStatus"]
            return {"TableName": name, "PointInTimeRecoveryStatus": "DISABLED", "RecoveryPeriodInDays": None} | {
                "TableStatus": "CREATING" if status == "ACTIVE" else status
            }
        recovery = backups.get("PointInTimeRecoveryDescription", {})
        state: State = {
            "TableName": name,
            "PointInTimeRecoveryStatus": recovery.get("PointInTimeRecoveryStatus", "DISABLED"),
            "RecoveryPeriodInDays": recovery.get("RecoveryPeriodInDays"),
        }
        if _recoverable(state, context) or context.creates:
            return state
        described = aws("dynamodb", "describe_table", TableName=name)["Table"]
        return state | {
            "TableStatus": described["TableStatus"],
            "TableSizeBytes": described.get("TableSizeBytes", 0),
            "Restored": "RestoreSummary" in described,
        }

    def judge(self, state: State, context: Context) -> Judgement:
        """Find tables without recovery, or with a shorter recovery period than the settings require."""
        if _recoverable(state, context):
            return Compliant()
        other = table.not_now(state.get("TableStatus", "ACTIVE"))
        if other:
            return other
        wanted, days = context.parameters["min_recovery_days"], state["RecoveryPeriodInDays"]
        enabled = state["PointInTimeRecoveryStatus"] == "ENABLED"
        change = Change(
            calls=(_set(context, enabled=True, days=wanted),),
            undo=(_set(context, enabled=enabled, days=days if enabled else 0),),
            residue="" if enabled else "the recovery history kept so far is lost when recovery is turned off",
        )
        reason = "point-in-time recovery is off"
        if enabled:
            reason = f"keeps {plural(days, 'day')} of recovery history, not {wanted}"
        kind, caution = ("", "") if enabled else _too_expensive(state, context)
        return NonCompliant(reason, change, caution=caution, kind=kind)

    def essence(self, state: State) -> Any:
        """Compare whether recovery is on and, if so, how far back it reaches."""
        enabled = state["PointInTimeRecoveryStatus"] == "ENABLED"
        return [enabled, state["RecoveryPeriodInDays"] if enabled else None]

    def discover(self, aws: Aws, place: Place) -> Iterator[str]:
        """List all tables."""
        return table.discover(aws, place)


def _recoverable(state: State, context: Context) -> bool:
    wanted: int = context.parameters["min_recovery_days"]
    days: int = state["RecoveryPeriodInDays"] or _LONGEST
    return state["PointInTimeRecoveryStatus"] == "ENABLED" and days >= wanted


def _too_expensive(state: State, context: Context) -> tuple[str, str]:
    """Return why the table's size rules out turning recovery on, as a kind and a sentence; or two empty strings."""
    if state.get("Restored") and not state["TableSizeBytes"]:
        # The size is counted about every six hours (API reference, TableDescription).
        caution = (
            "the table was restored and DynamoDB does not report its size yet; run the control by hand once it does"
        )
        return "size unknown", caution
    gib = state.get("TableSizeBytes", 0) / _GIB
    limit = context.parameters["max_table_gib"]
    if gib <= limit:
        return "", ""
    dollars = gib * _DOLLARS_PER_GIB_MONTH
    caution = f"the table holds {gib:,.0f} GiB: about ${dollars:,.0f} a month, above the max_table_gib of {limit}"
    return "too dear", caution


def _set(context: Context, *, enabled: bool, days: int) -> Call:
    """Return the call. It names a period only if the settings do, since a shorter period drops history."""
    specification: dict[str, Any] = {"PointInTimeRecoveryEnabled": enabled}
    if enabled and days:
        specification["RecoveryPeriodInDays"] = days
    params = {"TableName": table.name_of(context), "PointInTimeRecoverySpecification": specification}
    return Call("dynamodb", "update_continuous_backups", params)
