"""An execution's state from its journal. Live traffic, recovery and the API all load it this way."""

import msgspec

from core.engine.definitions import Definitions
from core.graph.model import Workflow
from core.machine import snapshot
from core.machine.evolve import fold
from core.machine.journal import Envelope, decode
from core.machine.state import State, blank
from core.ports.store import Loaded, Snapshot, Store


async def rebuild(
    store: Store,
    execution_id: str,
    loaded: Loaded,
    definitions: Definitions,
    envelopes: list[Envelope] | None = None,
) -> State:
    """Fold what was loaded; `envelopes` are its batches, where the caller has decoded them.

    Raises JournalUnreadable where it was written by a newer program or is damaged, WorkflowNotFound where
    the definition is missing.
    """
    workflow = await definitions.get(loaded.digest, execution_id)
    state, batches = blank(execution_id, workflow), loaded.batches
    kept = loaded.snapshot
    if kept is not None:
        shortcut = _restored(kept, workflow)
        if shortcut is not None:
            state = shortcut
        else:
            # What was loaded begins after the snapshot, so the whole journal is needed.
            batches, envelopes = await store.history(execution_id, 0, max(1, loaded.version)), None
    for envelope in map(decode, batches) if envelopes is None else envelopes:
        if envelope.seq > state.version:
            state = fold(state, envelope.events)
    return state


def _restored(kept: Snapshot, workflow: Workflow) -> State | None:
    if kept.format != snapshot.FORMAT:
        return None
    try:
        return snapshot.restore(kept.data, workflow)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
