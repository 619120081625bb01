"""The examples do what their names say, walked by the real engine on supplied answers."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from api.bootstrap import trying
from api.settings import Settings
from core.engine.trial.stage import TrialView
from core.engine.trial.trials import Trials
from core.graph.reading import read_workflow

ROOT = Path(__file__).parents[3]

DONE: Any = [{"output": {}}]
ORDER = {
    "reserve-stock": [{"output": {"reservation": {"reserved": True}}}],
    "charge-card": [{"output": {"charge": {"amount": 5_000}}}],
    "ship-order": [{"output": {"shipment": {"shipped": True}}}],
    "release-stock": DONE,
    "refund-card": DONE,
}


@pytest.fixture
async def trials() -> AsyncIterator[Trials]:
    async with trying(Settings()) as running:
        yield running


async def run(trials: Trials, name: str, input_: Any, mocks: Any) -> TrialView:
    workflow = read_workflow(json.loads((ROOT / f"examples/{name}.json").read_text(encoding="utf-8")))
    answers = {step: answer for step, answer in mocks.items() if step in workflow.steps}
    return await trials.run(workflow, input_, answers)


def output(view: TrialView) -> dict[str, Any]:
    assert isinstance(view.output, dict)
    return view.output


async def test_a_thousand_lines_are_priced_and_added_up(trials: Trials) -> None:
    view = await run(trials, "fan-out", {}, {"price-line": [{"output": {"price": 3, "ranOn": "AWS"}}]})
    assert view.status == "COMPLETED"
    assert view.steps_entered.count("price-line") == 1_000
    given = output(view)
    assert (given["total"], given["priced"], given["failed"]) == (3_000, 1_000, 0)
    assert given["prices"][999] == {"price": 3}


async def test_an_order_of_a_known_customer_is_shipped_and_nothing_is_undone(trials: Trials) -> None:
    order = {"orderId": "A", "amount": 5_000, "trusted": True}
    view = await run(trials, "saga", order, ORDER)
    assert view.status == "COMPLETED"
    assert view.steps_entered == ["reserve-stock", "charge-card", "screen", "ship-order"]


async def test_what_a_refused_order_did_is_undone_newest_first(trials: Trials) -> None:
    view = await run(trials, "saga", {"orderId": "A", "amount": 5_000}, ORDER)
    assert (view.status, view.error) == ("FAILED", "NotTrusted")
    assert view.steps_entered[-3:] == ["refuse", "refund-card", "release-stock"]


async def test_stock_is_released_where_nobody_approves_within_a_day(trials: Trials) -> None:
    view = await run(trials, "approval", {"orderId": "A"}, {**ORDER, "ask": [{"timeout": True}]})
    assert (view.status, view.error) == ("FAILED", "NotApproved")
    assert view.steps_entered == ["reserve-stock", "ask", "nobody-answered", "release-stock"]


async def test_the_result_of_a_long_job_is_kept_under_a_name(trials: Trials) -> None:
    view = await run(trials, "long-job", {"day": "2026-03-01"}, {"make-report": [{"output": {"pages": 3}}]})
    assert output(view) == {"day": "2026-03-01", "report": {"pages": 3}}


async def test_an_approved_order_is_charged_and_one_that_is_refused_releases_the_stock(
    trials: Trials,
) -> None:
    approved = {**ORDER, "ask": [{"output": {"approved": True, "by": "ann"}}]}
    view = await run(trials, "approval", {"orderId": "A"}, approved)
    assert view.steps_entered == ["reserve-stock", "ask", "decide", "charge-card"]
    assert output(view)["approval"] == {"approved": True, "by": "ann"}
    refused = {**ORDER, "ask": [{"output": {"approved": False}}]}
    view = await run(trials, "approval", {"orderId": "A"}, refused)
    assert (view.status, view.error, view.steps_entered[-1]) == ("FAILED", "Refused", "release-stock")


async def test_a_workflow_runs_for_each_order_and_the_shipped_ones_are_counted(trials: Trials) -> None:
    orders = [{"orderId": f"A-{at}", "amount": at} for at in range(20)]
    shipped = [{"output": {"shipment": {"shipped": True}}}]
    view = await run(trials, "sub-workflow", {"orders": orders}, {"run-order": shipped})
    given = output(view)
    assert (given["shipped"], given["failed"]) == (20, 0)
