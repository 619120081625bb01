"""Vendors' libraries, loaded when they are first needed.

They take half a second and 50 MB between them; who configures two clouds should not pay for three, and nobody
at start. Load them in a thread (`threads.in_thread`).
"""

import importlib
from typing import Any


def load(module: str) -> Any:
    """The module of this name; untyped, as most of these libraries are."""
    return importlib.import_module(module)
