"""Functions for Google's functions framework."""
