"""Google Cloud Functions: ID tokens, the functions framework, the management call that finds a URI."""
