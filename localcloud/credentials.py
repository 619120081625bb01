"""The service account's file, which a Sidestep server on this machine reads."""

import contextlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class CredentialsFile:
    """Written once, readable by its owner only. Without a path of its own it is temporary."""

    def __init__(self, path: Path | None) -> None:
        self._given = path
        self._written: Path | None = None

    def write(self, content: Mapping[str, Any]) -> Path:
        """Write the file unless that has been done, and return where it is. Raises OSError."""
        if self._written is not None:
            return self._written
        if self._given is None:
            descriptor, name = tempfile.mkstemp(prefix="localcloud-", suffix=".json")
            path = Path(name)
        else:
            path = self._given
            path.unlink(missing_ok=True)  # another file's mode would stay as it is
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(content, file)
        self._written = path.resolve()
        return self._written

    def remove(self) -> None:
        """Remove a temporary file; a file with a path of its own is the user's."""
        if self._written is not None and self._given is None:
            with contextlib.suppress(OSError):
                self._written.unlink()
        self._written = None
