"""People's requests to a group's function: run a control, open a run, approve, reject, release, drop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evenkeel.operators import approvals, on_demand, runs

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from evenkeel.model import Request, Result
    from evenkeel.worker import Worker


class OperatorRequests:
    """Serves people's requests for one worker."""

    def __init__(self, worker: Worker) -> None:
        """Keep the worker."""
        self._worker = worker

    def serve(self, payload: Any, context: LambdaContext) -> dict[str, Any]:
        """Serve one payload and return the answer.

        Raises:
            EvenkeelError: the payload is malformed, or the request is refused; nothing was changed.
        """
        if isinstance(payload, dict) and any(verb in payload for verb in approvals.VERBS):
            return self._decide(payload, context)
        if isinstance(payload, dict) and any(verb in payload for verb in runs.VERBS):
            return self._runs(context).serve(payload)
        return self._run_control(payload, context)

    def _decide(self, payload: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
        """Serve a person's decision about a held change; see :mod:`evenkeel.operators.approvals`."""
        decision = approvals.parse(payload)
        owner = context.aws_request_id
        decisions = approvals.Approvals(
            self._worker.controls,
            self._worker.ledger(owner),
            self._worker.queue,
            stack=self._worker.environment.stack,
            sts_endpoint=self._worker.sts_endpoint(),
            place=self._worker.place(context),
            clock=self._worker.now,
            remaining_milliseconds=context.get_remaining_time_in_millis,
        )
        run, loaded = self._worker.visits(owner, context).run, self._worker.settings.load()
        answer = decisions.decide(
            decision, lambda control, request, approval: run(control, request, loaded, approval=approval)
        )
        for result in answer.results:
            self._worker.log(result)
        cursor = str(answer.cursor) if answer.cursor else None
        return {"results": [on_demand.described(result) for result in answer.results], "next": cursor}

    def _runs(self, context: LambdaContext) -> runs.Runs:
        """Return the stack's runs, for one invocation."""
        ledger = self._worker.ledger(context.aws_request_id)
        return runs.Runs(
            ledger, self._worker.environment, self._worker.place(context), self._worker.sts_endpoint, self._worker.now
        )

    def _run_control(self, payload: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
        """Serve a person's request to check resources; see :mod:`evenkeel.operators.on_demand`."""
        known_runs = self._runs(context)
        wanted = on_demand.parse(
            payload, self._worker.controls, self._worker.place(context), context.aws_request_id, self._worker.now()
        )
        wanted = wanted.covered(known_runs)
        run = self._worker.visits(context.aws_request_id, context).run
        loaded = self._worker.settings.load()

        def one(request: Request) -> Result:
            if wanted.run:
                known_runs.must_be_open(wanted.run)  # checked for each resource, so that ending a run takes seconds
            result = run(wanted.control, request, loaded)
            if request.dry_run:
                self._worker.log(result)
            else:
                self._worker.finish([result])
            return result

        return on_demand.serve(wanted, one, self._worker.control_aws, context.get_remaining_time_in_millis)
