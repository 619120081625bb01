"""The composition root: the one module that imports adapters and wires them to the engine."""
