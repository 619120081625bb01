"""Google Cloud: HTTP functions (2nd and 1st generation) and Cloud Run services, with OIDC ID tokens."""
