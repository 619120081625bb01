"""The sidestep command."""
