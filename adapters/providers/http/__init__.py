"""HTTP: POST to a URL within the configured origins, or to a registered service."""
