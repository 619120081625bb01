"""Answers: JSON by msgspec, straight from the values."""

from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.responses import Response


def answer(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """`content` (structs, builtins) as JSON."""
    return Response(msgspec.json.encode(content), status, headers, "application/json")
