"""One request of many executions: the calls of a walk, one after the other, until all were asked."""

from collections.abc import Callable
from typing import Any, Final

from cli.client import Client
from cli.patience import FIRST_PAUSE, Patience

AT_ONCE: Final = 500
"""Executions a call."""

TOLD: Final = 1_000
"""How many refusals are kept; their number is told whole."""


def walk(
    client: Client, body: dict[str, Any], remark: Callable[[str], None], *, pause: float = FIRST_PAUSE
) -> dict[str, Any]:
    """The sums of all calls. `body` names action, filter and bulkId; `remark` is told of each call.

    Raises Stop where a call cannot be made; a walk with the same bulkId applies nothing twice.
    """
    patience = Patience(remark, pause=pause)
    sums = {"matched": 0, "applied": 0, "already": 0, "refusedCount": 0}
    refused: list[Any] = []
    cursor = None
    while True:
        asked = {**body, "limit": AT_ONCE, "cursor": cursor}
        told = patience.ask(lambda asked=asked: client.post("/executions/bulk", asked))  # type: ignore[misc]
        for name in ("matched", "applied", "already"):
            sums[name] += told[name]
        sums["refusedCount"] += len(told["refused"])
        refused += told["refused"][: TOLD - len(refused)]
        remark(f"{body['action']}: {summary(sums)}")
        cursor = told["nextCursor"]
        if cursor is None:
            return {
                "action": body["action"],
                "bulkId": told["bulkId"],
                "dryRun": told["dryRun"],
                **sums,
                "refused": refused,
            }


def summary(sums: dict[str, Any]) -> str:
    """The sums as part of a sentence."""
    return (
        f"{sums['matched']} matched, {sums['applied']} applied, {sums['already']} before, "
        f"{sums['refusedCount']} refused"
    )
