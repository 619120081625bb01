"""Plain HTTP services, and their errors as outcomes."""
