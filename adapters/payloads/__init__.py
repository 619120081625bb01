"""Places for large payloads: a folder, S3, and what fsspec reaches, behind `core.ports.payloads`."""
