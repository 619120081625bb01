"""One contract suite a port; a binding is a fixture."""
