import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from core.errors import IllegalEvent
from core.machine import transitions as t
from core.machine.events import AnyEvent

ROOT = Path(__file__).parents[2]
KINDS = {str(event.__struct_config__.tag) for event in get_args(AnyEvent)}


def test_every_event_is_legal_somewhere_and_no_entry_names_an_unknown_one() -> None:
    named = {event for row in t.EXECUTION.values() for event in row}
    assert named == KINDS
    assert {event for row in t.STEP.values() for event in row} <= KINDS


def test_every_status_that_a_row_leads_to_is_a_row() -> None:
    for table in (t.EXECUTION, t.STEP):
        assert {following for row in table.values() for following in row.values()} <= set(table)


def test_only_a_redrive_leads_out_of_a_terminal_status_and_nothing_out_of_completed() -> None:
    for status in t.TERMINAL:
        allowed = {"REQUEST_IGNORED", "MESSAGES_SENT"} | (
            set() if status == t.COMPLETED else {"WORKFLOW_REDRIVEN"}
        )
        for kind in KINDS - allowed:
            with pytest.raises(IllegalEvent, match=f"{kind} cannot follow {status}"):
                t.next_status(t.EXECUTION, status, kind)
        assert t.next_status(t.EXECUTION, status, "REQUEST_IGNORED") == status


def test_while_paused_no_event_starts_anything() -> None:
    starts = {"WORKFLOW_STARTED", "STEP_STARTED", "ATTEMPT_STARTED", "RETRY_SCHEDULED", "STEP_PARKED"}
    ends = {"WORKFLOW_COMPLETED", "WORKFLOW_FAILED", "WORKFLOW_TIMED_OUT", "WORKFLOW_PARKED", "STEP_FAILED"}
    assert not (starts | ends) & set(t.EXECUTION[t.PAUSED])


def test_the_diagram_in_the_docs_is_drawn_from_the_table() -> None:
    drawn = subprocess.run(
        [sys.executable, "scripts/draw_states.py", "--check"], cwd=ROOT, check=False, timeout=60
    )
    assert drawn.returncode == 0, "run: python scripts/draw_states.py"
