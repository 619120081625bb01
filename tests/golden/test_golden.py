"""Journals of every schema version, as they were written once: what was folded from them must not change.

Files are added for a new version or a new event and never written anew.
"""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any, get_args

import pytest

from core.errors import JournalUnreadable
from core.graph.reading import parse_stored
from core.machine.events import AnyEvent, kind
from core.machine.evolve import fold
from core.machine.journal import SCHEMA_VERSION, decode, encode
from core.machine.state import blank

KINDS = {str(event.__struct_config__.tag) for event in get_args(AnyEvent)}
SINCE_2 = {
    "PAUSE_REQUESTED",
    "WORKFLOW_RESUMED",
    "WORKFLOW_REDRIVEN",
    "STEP_RESOLVED",
    "REQUEST_IGNORED",
}
SINCE_3 = {
    "ATTEMPT_ACCEPTED",
    "ATTEMPT_POLLED",
    "HEARTBEAT_RECEIVED",
    "CALLBACK_RECEIVED",
    "SIGNAL_RECEIVED",
    "ITEM_STARTED",
    "CHILD_STARTED",
    "CHILD_ENDED",
    "MESSAGES_SENT",
    "COMPENSATION_STARTED",
}
FIELDS_SINCE_3 = {
    "STEP_STARTED": {"entry", "retry", "undoes"},
    "STEP_PARKED": {"error"},
    "STEP_COMPLETED": {"output", "whole", "assigned", "signal"},
    "STEP_FAILED": {"output", "assigned"},
    "WORKFLOW_CREATED": {"parent"},
}
FILES = sorted(Path(__file__).parent.glob("v*/*.json"))


def read(path: Path) -> dict[str, Any]:
    kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return kept


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_an_old_journal_folds_to_what_it_always_was(path: Path) -> None:
    kept = read(path)
    workflow = parse_stored(json.dumps(kept["definition"], sort_keys=True, separators=(",", ":")).encode())
    assert workflow.digest == kept["digest"]
    state = blank(kept["executionId"], workflow)
    for batch in kept["batches"]:
        envelope = decode(json.dumps(batch).encode())
        assert envelope.seq == state.version + 1
        state = fold(state, envelope.events)
        assert json.loads(encode(envelope)) == batch
    assert state.status == kept["status"]
    assert state.context == kept["context"]
    for field, name in (("redrives", "redrives"), ("deadline_at", "deadlineAt"), ("rerun_of", "rerunOf")):
        assert name not in kept or getattr(state, field) == kept[name]


def test_the_golden_journals_hold_every_event() -> None:
    found = {kind(event) for path in FILES for batch in read(path)["batches"] for event in _events(batch)}
    assert found == KINDS


def test_the_golden_journals_hold_calls_beside_each_other_and_what_became_of_each() -> None:
    batches = read(Path(__file__).parent / "v2" / "hedged.json")["batches"]
    events = [one for batch in batches for one in batch["events"]]
    started = [one for one in events if one["kind"] == "ATTEMPT_STARTED"]
    assert {one.get("role", "") for one in started} == {"", "hedge", "sidestep"}
    assert all("at" in one for one in started)
    assert [one["attempt"] for one in events if one["kind"] == "ATTEMPT_ABANDONED"] == [1]
    assert [one["attempt"] for one in events if one["kind"] == "ATTEMPT_INTERRUPTED"] == [1, 2]
    assert [one for one in events if one["kind"] == "RETRY_SCHEDULED" and "deadlineAt" in one]


@pytest.mark.parametrize("kind_of_event", ["WORKFLOW_CREATED", "FROM_THE_FUTURE"])
def test_a_journal_of_a_newer_version_is_left_alone(kind_of_event: str) -> None:
    batch = read(FILES[0])["batches"][0]
    batch["v"] = SCHEMA_VERSION + 1
    batch["events"][0]["kind"] = kind_of_event
    with pytest.raises(JournalUnreadable, match=f"schema version {SCHEMA_VERSION + 1}"):
        decode(json.dumps(batch).encode())


def test_a_batch_bears_the_lowest_version_whose_readers_know_all_its_events() -> None:
    batches = [batch for path in FILES for batch in read(path)["batches"]]
    old = {one["kind"] for batch in batches if batch["v"] == 1 for one in batch["events"]}
    assert KINDS - old == SINCE_2 | SINCE_3
    for batch in batches:
        kinds = {one["kind"] for one in batch["events"]}
        if kinds & SINCE_3 or any(_evaluated(one) for one in batch["events"]):
            assert batch["v"] == 3
        else:
            assert batch["v"] == (2 if kinds & SINCE_2 else 1)


def test_the_golden_journals_hold_every_field_of_the_step_language_in_both_languages() -> None:
    found: dict[str, set[str]] = defaultdict(set)
    for path in FILES:
        if path.parent.name == "v3":
            for batch in read(path)["batches"]:
                for event in batch["events"]:
                    found[event["kind"]] |= event.keys()
    assert found["STEP_STARTED"] >= {"entry", "retry", "undoes", "wakeAt"}
    assert found["STEP_COMPLETED"] >= {"output", "whole", "assigned", "signal"}
    assert found["STEP_FAILED"] >= {"output", "assigned", "next"}
    assert found["WORKFLOW_CREATED"] >= {"parent", "parentVisit", "depth"}
    assert found["ITEM_STARTED"] >= {"index", "input"}
    written = [read(path)["definition"] for path in FILES if path.parent.name == "v3"]
    assert {"States" in one for one in written} == {True, False}


def test_a_damaged_journal_says_so() -> None:
    with pytest.raises(JournalUnreadable, match="damaged"):
        decode(b'{"v": 1, "seq"')


def _evaluated(event: dict[str, Any]) -> bool:
    """Whether it has what readers of version 2 would drop."""
    return bool(FIELDS_SINCE_3.get(event["kind"], set()) & event.keys())


def _events(batch: dict[str, Any]) -> tuple[AnyEvent, ...]:
    return decode(json.dumps(batch).encode()).events
