import logging

import pytest

from core.engine.complaints import Complaints
from core.testing.clock import ManualClock

LOG = logging.getLogger("sidestep.engine")


def test_what_thousands_complain_of_is_said_once_in_a_while_with_their_number(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = ManualClock()
    complaints = Complaints(LOG, clock)
    for _ in range(1_000):
        complaints.say("the store is away", "no answer")
    assert caplog.messages == ["the store is away: no answer"]
    clock.advance(5)
    complaints.say("the store is away", "refused")
    assert caplog.messages[1:] == ["the store is away: refused (999 more times since this was last said)"]


def test_another_kind_of_trouble_is_said_at_once(caplog: pytest.LogCaptureFixture) -> None:
    complaints = Complaints(LOG, ManualClock())
    complaints.say("the store is away", "no answer")
    complaints.say("leases could not be renewed", "no answer")
    assert len(caplog.messages) == 2
