"""What the demo's functions do, the same on every cloud. They de-duplicate nothing: the ledger counts."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from sidestep_function import Accepted, Call, call_back

log = logging.getLogger("sidestep.localcloud.functions")

Work = Callable[[Any, Call], dict[str, Any]]

_LATENCY_SECONDS = 0.005
_REPORT_SECONDS = 2.0
_LONGEST_MS = 60_000
_MOST_JOBS = 10_000
_HERE = frozenset({"127.0.0.1", "localhost", "::1"})


class Shop:
    """The functions as they run on one cloud; each result says where in `ranOn`."""

    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._jobs: dict[str, tuple[float, Any]] = {}

    def my_func(self, payload: Any, _call: Call) -> dict[str, Any]:
        """Greet, and give the input back."""
        return {"message": f"Hello from {self._provider}", "input": payload, "ranOn": self._provider}

    def flakey_func(self, payload: Any, _call: Call) -> dict[str, Any]:
        """Works wherever it is reached. On AWS it is not: the cloud fails every call of it."""
        return {"message": "Worked this time", "input": payload, "ranOn": self._provider}

    def reserve_stock(self, payload: Any, call: Call) -> dict[str, Any]:
        """First step of the order workflow."""
        return self._step(call, reservation={"order": _order(payload), "reserved": True})

    def charge_card(self, payload: Any, call: Call) -> dict[str, Any]:
        """Second step of the order workflow."""
        amount = payload.get("amount", 0) if isinstance(payload, dict) else 0
        return self._step(call, charge={"order": _order(payload), "amount": amount})

    def ship_order(self, payload: Any, call: Call) -> dict[str, Any]:
        """Third step of the order workflow."""
        return self._step(call, shipment={"order": _order(payload), "shipped": True})

    def release_stock(self, payload: Any, call: Call) -> dict[str, Any]:
        """Undo `reserve_stock`."""
        return self._step(call, reservation={"order": _order(payload), "reserved": False})

    def refund_card(self, payload: Any, call: Call) -> dict[str, Any]:
        """Undo `charge_card`."""
        return self._step(call, refund={"order": _order(payload), "refunded": True})

    def price_line(self, payload: Any, _call: Call) -> dict[str, Any]:
        """A price for the line with the number `line`; the same for the same number."""
        line = payload.get("line") if isinstance(payload, dict) else None
        if isinstance(line, bool) or not isinstance(line, int):
            raise TypeError("line must be a whole number")
        return {"line": line, "price": line * 7 % 50 + 1, "ranOn": self._provider}

    def ask_approver(self, payload: Any, _call: Call) -> dict[str, Any]:
        """Ask somebody to approve, who answers later with the `token` of the payload."""
        return {"asked": _order(payload), "ranOn": self._provider}

    def start_report(self, payload: Any, _call: Call) -> dict[str, Any]:
        """Start a job that is done `_REPORT_SECONDS` later; its id says when, so that any cloud can tell."""
        day = payload.get("day") if isinstance(payload, dict) else None
        return {"jobId": f"{day}@{time.time_ns() // 1_000_000}", "ranOn": self._provider}

    def ask_report(self, payload: Any, _call: Call) -> dict[str, Any]:
        """Say whether the job `jobId` is done, and what came of it."""
        job = payload.get("jobId") if isinstance(payload, dict) else None
        day, _, started = str(job).rpartition("@")
        if not started.isdecimal():
            raise ValueError("jobId must be one that start-report gave")
        if time.time() - int(started) / 1000 < _REPORT_SECONDS:
            return {"status": "RUNNING", "ranOn": self._provider}
        return {"status": "SUCCEEDED", "report": {"day": day, "rows": 412}, "ranOn": self._provider}

    def slow_func(self, payload: Any, _call: Call) -> dict[str, Any]:
        """Take `delayMs` milliseconds, 60 s at most."""
        delay = _ms(payload, "delayMs", 0)
        time.sleep(delay / 1000)
        return {"sleptMs": delay, "ranOn": self._provider}

    def long_job(self, payload: Any, call: Call) -> Accepted:
        """Take a job on that is done after `workMs` milliseconds (2,000 unless given, 60 s at most).

        The same key is the same job. `job_status` says how it stands.
        """
        job = call.idempotency_key or f"job-{len(self._jobs)}"
        if job not in self._jobs:
            if len(self._jobs) >= _MOST_JOBS:
                raise RuntimeError(f"there are {_MOST_JOBS} jobs already")
            self._jobs[job] = (time.monotonic() + _ms(payload, "workMs", 2_000) / 1000, payload)
        return Accepted(f"?job={quote(job, safe='')}")

    def job_status(self, query: Mapping[str, str]) -> Any:
        """What became of a job."""
        found = self._jobs.get(query.get("job", ""))
        if found is None:
            raise LookupError("there is no such job")
        done_at, payload = found
        if time.monotonic() < done_at:
            return Accepted()
        return {"report": "all done", "input": payload, "ranOn": self._provider}

    def answer_later(self, payload: Any, call: Call) -> dict[str, Any]:
        """Take it on, and call back after `afterMs` milliseconds (500 unless given, 60 s at most): with a
        result, or with the error that `fail` names. It calls servers of this machine only.
        """
        url = call.callback_url
        if url is None:
            raise ValueError("the step awaits no callback")
        if urlsplit(url).hostname not in _HERE:
            raise ValueError("it calls back servers of this machine only")
        fail = payload.get("fail") if isinstance(payload, dict) else None
        args = (url, fail, {"answer": "yes", "input": payload, "ranOn": self._provider})
        timer = threading.Timer(_ms(payload, "afterMs", 500) / 1000, _answer, args)
        timer.daemon = True
        timer.start()
        return {"accepted": True}

    def buggy_func(self, _payload: Any, _call: Call) -> dict[str, Any]:
        """Fail by its own fault."""
        raise ValueError("this function has a bug")

    def echo_meta(self, _payload: Any, call: Call) -> dict[str, Any]:
        """Give back what came beside the payload."""
        return {
            "idempotencyKey": call.idempotency_key,
            "attempt": call.attempt,
            "notAfter": call.not_after,
            "traceparent": call.traceparent,
            "ranOn": self._provider,
        }

    def _step(self, call: Call, **result: Any) -> dict[str, Any]:
        time.sleep(_LATENCY_SECONDS)
        return result | {"ranOn": self._provider, "attempt": call.attempt}


def _answer(url: str, fail: Any, output: dict[str, Any]) -> None:
    said = {"error": str(fail), "cause": "it was asked to fail"} if fail else {"output": output}
    # A server that is started again takes a while, and nobody else has the answer.
    for pause in (0.2, 1.0, 2.0, 5.0, 10.0, 20.0, 20.0):
        try:
            call_back(url, "failure" if fail else "success", **said)
        except OSError as problem:
            log.info("a callback was not taken: %s", type(problem).__name__)
            time.sleep(pause)
        else:
            return


def _ms(payload: Any, name: str, default: int) -> float:
    value = payload.get(name, default) if isinstance(payload, dict) else default
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LONGEST_MS:
        raise ValueError(f"{name} must be a number from 0 to {_LONGEST_MS}")
    return value


def _order(payload: Any) -> Any:
    return payload.get("orderId") if isinstance(payload, dict) else None
