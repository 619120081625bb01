"""The interpreter of JSONata: jsonata-python's, corrected where it strays from JSONata, and with the
functions that the States Language adds and those that need time and chance.

Inside, undefined is Python's None and null is `NULL`; core/data/jsonata.py translates. An interpreter
belongs to one evaluation and one thread.
"""

import hashlib
import math
import sys
import uuid
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Final

import msgspec

from core.data.decoding import check_depth
from core.data.jsonata_patterns import compile_pattern
from core.errors import InvalidInput

_RECURSION: Final = sys.getrecursionlimit()

# The library raises the limit for the whole process when it is imported; who evaluates decides about it.
from jsonata import Functions, JException, Jsonata, Signature, Utils  # noqa: E402 - see above

sys.setrecursionlimit(_RECURSION)

Failure: Final = JException
"""What the library raises; `error` is JSONata's code."""

NULL: Final = Utils.NULL_VALUE
"""JSON's null inside of the interpreter."""

LONGEST_RANGE: Final = 10_000_000
"""Numbers that `$range` makes at most: the bound of JSONata's own `[a..b]`."""

ALGORITHMS: Final = {
    "MD5": "md5",
    "SHA-1": "sha1",
    "SHA-256": "sha256",
    "SHA-384": "sha384",
    "SHA-512": "sha512",
}
"""What `$hash` knows, by the States Language's names."""

SIGNATURES: Final = {
    "eval": "<x?x?:x>",
    "now": "<s?s?:s>",
    "millis": "<:n>",
    "random": "<n?:n>",
    "uuid": "<:s>",
    "shuffle": "<a:a>",
    "sort": "<af?:a>",
    "distinct": "<x:x>",
    "partition": "<an:a>",
    "range": "<nnn:a<n>>",
    "hash": "<ss:s>",
    "parse": "<s:x>",
}
"""The functions of `Library`, and what they take, in JSONata's notation."""


class Refusal(Exception):
    """Why a function cannot do what it is asked, in a sentence."""


class _Scope(Jsonata.Frame):  # type: ignore[misc] # the library has no annotations
    """A frame of variables. The library's own would write the variable's name into a function's signature,
    which all evaluations share.
    """

    def bind(self, name: str, val: Any) -> None:
        """Let `name` mean `val` in this frame."""
        self.bindings[name] = val


class Interpreter(Jsonata):  # type: ignore[misc] # the library has no annotations
    """One parsed expression. Raises whatever the library raises, JException where it means to, and
    PatternRefused.
    """

    def __init__(self, expression: str) -> None:
        super().__init__(expression, _pattern)

    def run(self, root: Any, bindings: dict[str, Any]) -> Any:
        """The value for these inner values; None where it is undefined."""
        self.set_output_convert_nulls(False)
        self.set_validate_input(False)
        Jsonata.CURRENT.jsonata = self
        return self.evaluate(root, bindings)

    def create_frame(self, enclosing_environment: Any = None) -> Any:
        """A frame inside of another."""
        return _Scope(enclosing_environment)

    def evaluate_numeric_expression(self, lhs: Any, rhs: Any, op: str | None) -> Any:
        """Arithmetic. The library cuts remainders to whole numbers; JSONata's are ECMAScript's."""
        if op in ("/", "%") and _is_number(lhs) and _is_number(rhs):
            if rhs == 0:
                raise JException("D1001", -1, f"{lhs} {op} {rhs}")
            if op == "%":
                return Utils.convert_number(math.fmod(float(lhs), float(rhs)))
        return super().evaluate_numeric_expression(lhs, rhs, op)

    def evaluate_includes_expression(self, lhs: Any, rhs: Any) -> bool:
        """The operator `in`. The library takes true and 1 for the same."""
        if lhs is None or rhs is None:
            return False
        items = rhs if isinstance(rhs, list) else [rhs]
        return any(Utils.is_deep_equal(lhs, item) for item in items)


def _pattern(pattern: str, flags: Any) -> Any:
    return compile_pattern(pattern, ignore_case=flags.case_insensitive, multiline=flags.multiline)


class _Native(Jsonata.JFunction):  # type: ignore[misc] # the library has no annotations
    """A function of ours as the interpreter wants them."""

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        super().__init__(None, None)
        self.function_name = name
        self.signature = _signature(name)
        self._function = function

    def call(self, input: Any, args: Sequence[Any] | None) -> Any:  # noqa: A002, ARG002 - the library's
        """What the function makes of validated arguments."""
        return self._function(*(args or ()))

    def get_number_of_args(self) -> int:
        """How many arguments a partial application may fill."""
        return int(self.signature.get_number_of_args())


@cache
def _signature(name: str) -> Any:
    return Signature(SIGNATURES[name], name)


def known_functions() -> frozenset[str]:
    """The names of all functions, without their dollar signs."""
    return frozenset(SIGNATURES) | frozenset(Jsonata.static_frame.bindings)


class Library:
    """The functions of one evaluation. Time stands still in it, and chance is a function of `seed`."""

    def __init__(self, now_ms: int, seed: bytes) -> None:
        self._now_ms = now_ms
        self._seed = seed
        self._drawn = 0

    def functions(self, expression: str) -> dict[str, Any]:
        """Those that the expression names."""
        return {
            name: _Native(name, getattr(self, f"_{name}")) for name in SIGNATURES if f"${name}" in expression
        }

    def _eval(self, *_: Any) -> Any:
        raise Refusal("$eval is not supported; $parse reads JSON.")

    def _now(self, picture: Any = None, timezone: Any = None) -> Any:
        return Functions.datetime_from_millis(self._now_ms, picture, timezone)

    def _millis(self) -> int:
        return self._now_ms

    def _random(self, seed: Any = None) -> float:
        if seed is None:
            return self._draw() / (1 << 53)
        return _bits(f"seed {math.floor(seed)}".encode()) / (1 << 53)

    def _uuid(self) -> str:
        self._drawn += 1
        return str(uuid.UUID(bytes=self._block()[:16], version=4))

    def _shuffle(self, items: Any = None) -> Any:
        if items is None:
            return None
        mixed = list(items)
        for last in range(len(mixed) - 1, 0, -1):
            other = self._draw() % (last + 1)
            mixed[last], mixed[other] = mixed[other], mixed[last]
        return mixed

    def _sort(self, items: Any = None, comes_after: Any = None) -> Any:
        if items is None or len(items) <= 1:
            return items
        if comes_after is None:
            if not (all(map(_is_number, items)) or all(isinstance(item, str) for item in items)):
                raise Refusal(
                    "$sort without a function takes an array of numbers, or one of strings, and no other."
                )
            return sorted(items)
        # The library's own is not stable where the function answers with a boolean.
        return sorted(items, key=lambda item: _Ordered(item, comes_after))

    def _distinct(self, items: Any = None) -> Any:
        if not isinstance(items, list) or len(items) <= 1:
            return items
        kept = Utils.create_sequence() if isinstance(items, Utils.JList) else []
        seen = set()
        for item in items:
            name = Functions.string([item], None)
            if name not in seen:
                seen.add(name)
                kept.append(item)
        return kept

    def _partition(self, items: Any = None, size: Any = None) -> Any:
        if items is None or size is None:
            return None
        step = math.floor(size)
        if step <= 0:
            raise Refusal("The chunk size of $partition is a positive integer.")
        listed = list(items)
        return [listed[at : at + step] for at in range(0, len(listed), step)]

    def _range(self, first: Any = None, last: Any = None, step: Any = None) -> Any:
        if first is None or last is None or step is None:
            return None
        start, end, delta = math.floor(first), math.floor(last), math.floor(step)
        if delta == 0:
            raise Refusal("The step of $range is not zero.")
        # The last number is part of the range where the steps reach it.
        numbers = range(start, end + (1 if delta > 0 else -1), delta)
        if abs(end - start) // abs(delta) >= LONGEST_RANGE:
            raise Refusal(f"$range makes at most {LONGEST_RANGE} numbers.")
        return list(numbers)

    def _hash(self, text: Any = None, algorithm: Any = None) -> Any:
        if text is None or algorithm is None:
            return None
        if algorithm not in ALGORITHMS:
            raise Refusal(f"$hash knows these algorithms: {', '.join(ALGORITHMS)}.")
        encoded = text.encode("utf-8", "surrogatepass")
        return hashlib.new(ALGORITHMS[algorithm], encoded, usedforsecurity=False).hexdigest()

    def _parse(self, text: Any = None) -> Any:
        if text is None:
            return None
        try:
            encoded = text.encode()
            check_depth(encoded)
            return inner(msgspec.json.decode(encoded))
        except (InvalidInput, msgspec.MsgspecError, UnicodeEncodeError) as refused:
            raise Refusal(f"$parse was given text that is not JSON: {refused}") from refused

    def _draw(self) -> int:
        """The next 53 bits of chance."""
        self._drawn += 1
        return _bits(self._block())

    def _block(self) -> bytes:
        return hashlib.sha256(self._seed + self._drawn.to_bytes(8, "big")).digest()


class _Ordered:
    """An item in the order of a function that says whether its first argument comes after its second."""

    __slots__ = ("_after", "_item")

    def __init__(self, item: Any, comes_after: Any) -> None:
        self._item = item
        self._after = comes_after

    def __lt__(self, other: "_Ordered") -> bool:
        answer = Functions.func_apply(self._after, [other._item, self._item])
        if isinstance(answer, bool) or not isinstance(answer, int | float):
            return bool(Jsonata.boolize(answer))
        return answer > 0


def inner(value: Any) -> Any:
    """A copy of a JSON value as it is inside of the interpreter: nothing done to it there shows outside."""
    if value is None:
        return NULL
    if isinstance(value, dict):
        return {key: inner(item) for key, item in value.items()}
    if isinstance(value, list):
        return [inner(item) for item in value]
    return value


def is_function(value: Any) -> bool:
    """Whether an inner value is a function, or a regular expression, which is one too."""
    return (
        isinstance(value, Jsonata.JFunctionCallable)
        or Functions.is_lambda(value)
        or Functions.is_regex(value)
    )


def _bits(text: bytes) -> int:
    return int.from_bytes(hashlib.sha256(text).digest()[:7], "big") >> 3


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
