"""Google Cloud Functions and Cloud Run: ID tokens, and their errors as outcomes."""
