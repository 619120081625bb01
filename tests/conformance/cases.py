"""Recorded cases: a state machine, its input, what its functions answered, and what came of it.

One JSON object a line of `cases.jsonl`: `id`, `category`, `definition`, `input`, `calls` (each with `state`,
and `output`, or `error` and `cause`; `raised_by: engine` where the engine itself must raise the error),
`expect` (`status`, `output`, `error`, `events`), `wildcards` (strings in `expect` that stand for values of a
run) and `features`.
"""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

VARIABLE: Final = "SIDESTEP_ASL_CASES"
"""Names the folder of cases that were recorded elsewhere, and are not part of this project."""

OWN: Final = Path(__file__).parent
TOO_MUCH: Final = 300 * 1024

Case = Mapping[str, Any]


def read_cases(folder: Path) -> list[Case]:
    """The cases in a folder."""
    lines = (folder / "cases.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines if line.strip()]


def recorded() -> Path | None:
    """The folder of recorded cases, where there is one."""
    named = os.environ.get(VARIABLE)
    return Path(named) if named else None


def mocks_of(case: Case) -> dict[str, list[dict[str, Any]]]:
    """What each step is answered, as a trial takes it."""
    mocks: dict[str, list[dict[str, Any]]] = {}
    for call in case.get("calls", ()):
        mocks.setdefault(call["state"], []).append(_answer(call))
    return mocks


def _answer(call: Mapping[str, Any]) -> dict[str, Any]:
    if "error" not in call:
        return {"output": call["output"]}
    if call.get("raised_by") != "engine":
        return {"error": call["error"], "cause": call.get("cause", "")}
    if call["error"] in {"States.Timeout", "States.HeartbeatTimeout"}:
        return {"timeout": True}
    filler = "x" * TOO_MUCH
    whole = isinstance(call.get("input"), dict) and "FunctionName" in call["input"]
    return {"output": {"Payload": filler, "StatusCode": 200} if whole else filler}


def body_of(case: Case) -> dict[str, Any]:
    """The case as a request to `POST /workflows/test`."""
    return {"workflow": case["definition"], "input": case.get("input", {}), "mocks": mocks_of(case)}


def by_category(cases: Iterable[Case]) -> dict[str, list[Case]]:
    """The cases by category, in order of their names."""
    found: dict[str, list[Case]] = {}
    for case in cases:
        found.setdefault(case["category"], []).append(case)
    return dict(sorted(found.items()))
