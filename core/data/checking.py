"""Whether expressions can be read at all: what front ends refuse before a workflow is registered.

Pure. Walking a template, and where in the document something stands, is the front ends'.
"""

from core.data.intrinsic_calls import NotACall, compile_call, is_call
from core.data.jsonpath import NotAPath, compile_path, keys


def check_path(text: str, *, reference: bool = False) -> str | None:
    """Why `text` is no path (with `reference`: no reference path, as ResultPath has to be); None if it is."""
    try:
        path = compile_path(text)
    except NotAPath as refused:
        return str(refused)
    if not reference:
        return None
    if keys(path) is None:
        return "A reference path has names and indexes only: no wildcard, slice, filter, '..' or function."
    return None


def check_intrinsic(text: str) -> str | None:
    """Why `text` is no call of intrinsic functions; None if it is."""
    try:
        compile_call(text)
    except NotACall as refused:
        return str(refused)
    return None


def check_find(text: str) -> str | None:
    """Why `text` is neither a path nor a call: what a member that ends in `.$` may hold."""
    return check_intrinsic(text) if is_call(text) else check_path(text)
