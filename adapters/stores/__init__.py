"""Hosts: memory and SQLite."""
