"""PURE. What an attempt proved, and which target comes next. No asyncio, clock, randomness, I/O or ports."""
