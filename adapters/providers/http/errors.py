"""What an HTTP service's answers mean, where our wrapper's mark does not say it."""

from adapters.providers.wire.rows import CLIENT_ROWS, SERVER_ROWS

ROWS = (*CLIENT_ROWS, *SERVER_ROWS)
"""In order; the first row that means an answer counts."""
