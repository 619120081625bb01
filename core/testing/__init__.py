"""The kit that every adapter must pass; shipped, so that others can write adapters."""
