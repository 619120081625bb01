"""One small Protocol a file, and the values that cross it. No implementation lives here."""
