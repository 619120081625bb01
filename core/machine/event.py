"""The base of all events, and what a visit is given when it begins."""

from typing import Any

import msgspec

from core.graph.model import Json


class Event(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", rename="camel", omit_defaults=True, gc=False
):
    """The base of all events; it is never written itself."""


class Entry(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, gc=False):
    """What was evaluated when a visit began: no expression is evaluated again when a journal is read.

    `input` is the effective input, UNSET where it is the scope's data; `function` the primary's name where
    that is in the input; `items` those of a MAP, or its batches; `keyed` says that they are the members of an
    object, each as {"Key", "Value"}. What is None is as the step says.
    """

    input: Any = msgspec.UNSET
    function: str | None = None
    timeout_ms: int | None = None
    heartbeat_ms: int | None = None
    wake_at: int | None = None
    items: list[Json] | None = None
    keyed: bool = False
    max_concurrency: int | None = None
    tolerated_count: int | None = None
    tolerated_percent: float | None = None
