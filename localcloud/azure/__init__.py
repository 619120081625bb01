"""Azure Functions: HTTP triggers of a `FunctionApp`, keys, Entra tokens."""
