"""What lies in Redis of the providers' health, as values: names of hash fields, packed tallies, JSON.

Anything may lie there: a newer version's, or an accident's. What cannot be read is left out, and said once.
"""

import hashlib
import logging
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import msgspec

from core.failover.health import Place
from core.graph.model import Target
from core.ports.link import HealthEvent, Kept, Key, Override, Tally

_log = logging.getLogger("sidestep.stores.redis")

LANE_BITS = 20
"""A tally is one number for HINCRBY, with three lanes: one command and one field instead of three. A lane
holds a million calls of one function in one second; three of them fit a signed number of 64 bits.
"""
MOST_IN_LANE = (1 << LANE_BITS) - 1

_MOST_CACHED = 20_000
_MOST_COMPLAINTS = 1_000

Sums = dict[str, tuple[int, int, int]]


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """News as it is published; `station` is whose it is, so that it does not hear itself."""

    station: str
    breaker: Kept | None = None
    overrides: tuple[Override, ...] | None = None


_encode = msgspec.json.Encoder().encode
_kept = msgspec.json.Decoder(Kept)
_override = msgspec.json.Decoder(Override)
_event = msgspec.json.Decoder(HealthEvent)
_said = msgspec.json.Decoder(Said)
_target = msgspec.json.Decoder(tuple[str, str | None, str])
_WRONG = (msgspec.DecodeError, ValueError)


def json(value: object) -> bytes:
    """As it is kept."""
    return _encode(value)


def field_of(key: Key) -> str:
    """The name of a breaker's field: `["AWS","eu-west-1","charge"]`, or without the function."""
    if isinstance(key, Target):
        return _encode((key.provider, key.region, key.function_id)).decode()
    return _encode(key).decode()


def place_field(provider: str, region: str | None) -> str:
    """The name of an override's field."""
    place: Place = (provider, region)
    return _encode(place).decode()


def digest_of(key: Key) -> str:
    """What stands for a key in the name of a permit: a function's may be long."""
    return hashlib.blake2b(field_of(key).encode(), digest_size=12).hexdigest()


def packed(tally: Tally) -> int:
    """One number; sums of such numbers are those of their lanes as long as no sum is negative."""
    calls, failures, faults = (
        max(-MOST_IN_LANE, min(MOST_IN_LANE, each)) for each in (tally.calls, tally.failures, tally.faults)
    )
    return calls + (failures << LANE_BITS) + (faults << 2 * LANE_BITS)


def lanes(number: int) -> tuple[int, int, int]:
    """The lanes of a sum; zeros where it is negative, which no sum of ours becomes."""
    if number <= 0:
        return 0, 0, 0
    return (
        number & MOST_IN_LANE,
        (number >> LANE_BITS) & MOST_IN_LANE,
        (number >> 2 * LANE_BITS) & MOST_IN_LANE,
    )


class Reader:
    """Reads what lies in Redis; knows what it has complained of."""

    def __init__(self) -> None:
        self._targets: dict[bytes, Target | None] = {}
        self._complaints: set[bytes] = set()

    def tallies(
        self, seconds: Sequence[Any], mine: Mapping[int, Mapping[bytes, int]]
    ) -> dict[int, dict[Target, Tally]]:
        """The others' sums: everybody's without mine."""
        found: dict[int, dict[Target, Tally]] = {}
        for text, flat in _pairs(seconds):
            second = int(text)
            own = mine.get(second, {})
            sums: dict[Target, Tally] = {}
            for field, value in _pairs(flat):
                target = self._target(field)
                if target is None:
                    continue
                try:
                    total = lanes(int(value))
                except ValueError:
                    self._complain(field, "a count")
                    continue
                tally = _without(total, lanes(own.get(field, 0)))
                if tally is not None:
                    sums[target] = tally
            if sums:
                found[second] = sums
        return found

    def breakers(self, flat: Sequence[bytes]) -> tuple[Kept, ...]:
        """Those that can be read."""
        kept = (self.kept(field, value) for field, value in _pairs(flat))
        return tuple([each for each in kept if each is not None])

    def kept(self, field: bytes, value: bytes) -> Kept | None:
        """One breaker; None where it cannot be read."""
        try:
            kept = _kept.decode(value.partition(b" ")[2])
            if field_of(kept.key).encode() == field:
                return kept
        except _WRONG:
            pass
        self._complain(field, "a breaker")
        return None

    def overrides(self, flat: Sequence[bytes], now_ms: int) -> tuple[Override, ...]:
        """Those that can be read and hold."""
        found = []
        for field, value in _pairs(flat):
            try:
                override = _override.decode(value.partition(b" ")[2])
            except _WRONG:
                self._complain(field, "an override")
                continue
            if override.until > now_ms:
                found.append(override)
        return tuple(found)

    def event(self, name: bytes, fields: Sequence[bytes]) -> HealthEvent | None:
        """One event; None where it cannot be read."""
        try:
            return _event.decode(dict(_pairs(fields))[b"v"])
        except (*_WRONG, KeyError):
            self._complain(name, "an event")
            return None

    def said(self, payload: bytes) -> Said | None:
        """News; None where it cannot be read."""
        try:
            return _said.decode(payload)
        except _WRONG:
            self._complain(b"", "news")
            return None

    def _target(self, field: bytes) -> Target | None:
        if field in self._targets:
            return self._targets[field]
        try:
            provider, region, function_id = _target.decode(field)
            target = Target(provider, function_id, region)
        except _WRONG:
            self._complain(field, "a count")
            target = None
        if len(self._targets) >= _MOST_CACHED:
            self._targets.clear()
        self._targets[field] = target
        return target

    def _complain(self, field: bytes, what: str) -> None:
        said = what.encode() + b" " + field[:200]
        if said not in self._complaints and len(self._complaints) < _MOST_COMPLAINTS:
            self._complaints.add(said)
            _log.warning(
                "%s of the providers' health in Redis cannot be read and is left out (a newer version "
                "may have written it): %r",
                what,
                field[:200],
            )


def _without(total: tuple[int, int, int], own: tuple[int, int, int]) -> Tally | None:
    """None where nothing is left. Redis may have lost what was said, so no count is below zero."""
    calls, failures, faults = (max(0, all_ - mine) for all_, mine in zip(total, own, strict=True))
    if not (calls or failures or faults):
        return None
    return Tally(calls=calls, failures=failures, faults=faults)


def _pairs(flat: Sequence[Any]) -> Iterable[tuple[Any, Any]]:
    return [pair for place, pair in enumerate(pairwise(flat)) if not place % 2]
