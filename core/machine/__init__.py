"""PURE. Events, state, evolve, decide and the legality table. No asyncio, clock, randomness, I/O or ports."""
