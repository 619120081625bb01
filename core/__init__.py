"""The engine. It imports no cloud SDK, no web framework and no database client."""
