"""An execution's state from its journal. Live traffic, recovery and the API all load it this way."""

import msgspec

from core.engine.definitions import Definitions
from core.machine import snapshot
from core.machine.evolve import fold
from core.machine.journal import decode
from core.machine.state import State, blank
from core.ports.store import Loaded


async def rebuild(execution_id: str, loaded: Loaded, definitions: Definitions) -> State:
    """Fold what was loaded.

    Raises JournalUnreadable where it was written by a newer program or is damaged, WorkflowNotFound where
    the definition is missing.
    """
    workflow = await definitions.get(loaded.digest)
    state = blank(execution_id, workflow)
    kept = loaded.snapshot
    if kept is not None and kept.format == snapshot.FORMAT:
        try:
            state = snapshot.restore(kept.data, workflow)
        except msgspec.DecodeError:
            state = blank(execution_id, workflow)
    for batch in loaded.batches:
        envelope = decode(batch)
        if envelope.seq > state.version:
            state = fold(state, envelope.events)
    return state
