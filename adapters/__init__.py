"""What touches the outside: providers and stores. Imported by api/bootstrap.py alone."""
