"""Azure Functions: HTTP triggers, keys or Entra tokens, and their errors as outcomes."""
