"""Hinting at steps that must never run twice and stand in one that is tried again as a whole.

A retry of a PARALLEL or MAP walks all of it again, what has completed too: that is what its author asked for,
and the journal says so. Of a payment they may not have thought.
"""

from collections.abc import Mapping

from core.graph.draft import Draft
from core.graph.findings import Findings, shown
from core.graph.model import OPENERS, TaskStep


def hint_repeats(draft: Draft, owners: Mapping[str, str], findings: Findings) -> None:
    """Note each `atMostOnce` step under an opener with `retries`; `owners` is the opener of each step's
    scope, empty on the main line. An opener stands in a few others at most, so this is linear.
    """
    for step_id, step in draft.steps.items():
        if not isinstance(step, TaskStep) or step.effects != "atMostOnce":
            continue
        owner = owners.get(step_id, "")
        seen: set[str] = set()
        while owner and owner not in seen:
            seen.add(owner)
            opener = draft.steps.get(owner)
            if isinstance(opener, OPENERS) and opener.retries:
                findings.hint(
                    (*draft.nodes[owner].place, "retries"),
                    "retries-repeat",
                    f"'retries' of {shown(owner)} walk all of it again, and {shown(step_id)}, which is "
                    "atMostOnce, stands in it: it would be called once more.",
                    f"Give the other steps in {shown(owner)} retries of their own, or let {shown(step_id)} "
                    "stand outside it.",
                )
                break
            owner = owners.get(owner, "")
