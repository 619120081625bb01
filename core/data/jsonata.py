"""JSONata expressions: JSON in, JSON out.

Evaluation has no bound on its time or memory but the process's: expressions of strangers are evaluated in a
process that can be killed (adapters/evaluator). `check_jsonata` is for any process. Import this where an
expression is read or evaluated: the interpreter is a large library, and most processes never need it.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal

from core.data.jsonata_interpreter import NULL, Failure, Interpreter, Library, Refusal, inner, is_function
from core.data.jsonata_patterns import PatternRefused
from core.data.jsonata_plain import MAX_EXPRESSION
from core.data.paths import MISSING, Json, Missing

MAX_DEPTH: Final = 64
"""How deep lists and objects of a result may nest, as in core/data/decoding.py."""

MAX_CAUSE: Final = 500
"""The longest sentence of a failure, in characters."""

WIDEST: Final = 10**21
"""Whole numbers below it are written with their digits, others as ECMAScript does, with an exponent."""


class JsonataFailed(Exception):
    """Why an expression has no JSON value, in a sentence of at most `MAX_CAUSE` characters."""


def evaluate_jsonata(
    expression: str,
    root: Json,
    bindings: Mapping[str, Json],
    *,
    now_ms: int,
    entropy: int,
    limit: int = 1 << 20,
) -> Json | Literal[Missing.MISSING]:
    """The value of `expression`, or MISSING where it is undefined.

    `root` is what `$` and bare names refer to; MISSING or None where they refer to nothing. `bindings` are
    the variables, by their names without the dollar sign. Whole numbers come back as int. `$now`, `$millis`,
    `$random`, `$uuid` and `$shuffle` depend on `now_ms`, `entropy` and the text of the expression alone: give
    each place of a definition an entropy of its own. Beside JSONata's functions there are `$partition`,
    `$range`, `$hash`, `$random(seed)`, `$uuid` and `$parse`; `$eval` is refused.

    Raises JsonataFailed where it does not parse, fails, recurses too deep, gives a function, or JSON of more
    than `limit` bytes or `MAX_DEPTH` levels. Neither `root` nor `bindings` is changed. Not reentrant, but
    each thread may evaluate.
    """
    seed = f"{entropy} {expression}".encode("utf-8", "surrogatepass")
    try:
        library = Library(now_ms, seed)
        names = library.functions(expression)
        # What the expression does not name is not copied; a name is found too often rather than too seldom.
        names.update((name, inner(value)) for name, value in bindings.items() if f"${name}" in expression)
        value = _parsed(expression).run(None if root is MISSING else _inner_root(root), names)
        return MISSING if value is None else _Outward(limit).convert(value, 0)
    except JsonataFailed:
        raise
    except RecursionError as deep:
        raise JsonataFailed("The expression nests or recurses too deep.") from deep
    except MemoryError as full:
        raise JsonataFailed("The expression takes too much memory.") from full
    except Exception as failed:
        raise JsonataFailed(_sentence(failed)) from failed


def check_jsonata(expression: str) -> str | None:
    """Why `expression` can never be evaluated, in a sentence; None where it parses. Never raises."""
    try:
        parsed = _parsed(expression)
        refused = any(_calls_eval(node) for node in _nodes(parsed.ast))
    except JsonataFailed as failed:
        return str(failed)
    except RecursionError:
        return "The expression is nested too deep."
    except Exception as failed:  # noqa: BLE001 - whatever the parser stumbles over, the text is at fault
        return _sentence(failed)
    return "$eval is not supported; $parse reads JSON." if refused else None


def _parsed(expression: str) -> Interpreter:
    if len(expression) > MAX_EXPRESSION:
        raise JsonataFailed(f"An expression has at most {MAX_EXPRESSION} characters.")
    if not expression.strip():
        raise JsonataFailed("The expression is empty.")
    try:
        return Interpreter(expression)
    except IndexError as early:
        # The library looks for what follows, past the end.
        raise JsonataFailed("The expression ends too early: in a comment, an escape or a pattern.") from early


def _inner_root(root: Json) -> Any:
    return None if root is None else inner(root)


def _sentence(failed: Exception) -> str:
    match failed:
        case Refusal() | PatternRefused():
            return str(failed)
        case Failure():
            text = str(failed).strip() or "it failed"
            at = f", at character {failed.location}" if (failed.location or 0) > 0 else ""
            code = "" if text.startswith(failed.error) else f" ({failed.error}{at})"
            return f"{text[: MAX_CAUSE - 50].rstrip('.')}{code}."
        case _:
            # The library stumbles where JSONata would say what is wrong; its words would not help.
            return f"The expression cannot be evaluated ({type(failed).__name__})."


class _Outward:
    """From inner values to JSON, counting bytes as they come: a small value inside may be a huge one outside,
    since its parts may be shared.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._left = limit

    def convert(self, value: Any, depth: int) -> Json:
        if value is None or value is NULL:
            self._take(4)
            return None
        match value:
            case bool():
                self._take(5)
                return value
            case str():
                return self._text(value)
            case int() | float():
                return self._number(value)
            case _ if is_function(value):
                raise JsonataFailed("The expression gives a function, which is not JSON.")
            case list():
                self._enter(depth)
                return [self._item(item, depth) for item in value]
            case dict():
                self._enter(depth)
                return {self._text(key): self._item(item, depth) for key, item in value.items()}
            case _:
                raise JsonataFailed(f"The expression gives a {type(value).__name__}, which is not JSON.")

    def _item(self, value: Any, depth: int) -> Json:
        self._take(1)
        return self.convert(value, depth + 1)

    def _enter(self, depth: int) -> None:
        self._take(2)
        if depth >= MAX_DEPTH:
            raise JsonataFailed(f"The expression gives JSON that is nested deeper than {MAX_DEPTH} levels.")

    def _text(self, text: str) -> str:
        try:
            size = len(text.encode())
        except UnicodeEncodeError:
            # An escape in an expression names half a pair; two halves that meet are one character.
            try:
                text = text.encode("utf-16", "surrogatepass").decode("utf-16")
            except UnicodeDecodeError:
                raise JsonataFailed("The expression gives text with a lone surrogate.") from None
            size = len(text.encode())
        self._take(size + 2)
        return text

    def _number(self, number: float) -> float:
        if isinstance(number, int):
            if abs(number) < WIDEST:
                self._take(len(str(number)))
                return number
            try:
                number = float(number)
            except OverflowError:
                raise JsonataFailed("The expression gives a number that a double cannot hold.") from None
        if number - number != 0:  # an infinity, or not a number at all
            raise JsonataFailed("The expression gives a number that JSON cannot hold.")
        self._take(len(repr(number)))
        return int(number) if number.is_integer() and abs(number) < WIDEST else number

    def _take(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise JsonataFailed(f"The expression gives more than {self._limit} bytes of JSON.")


def _calls_eval(node: Any) -> bool:
    procedure = getattr(node, "procedure", None)
    return (
        getattr(node, "type", None) in ("function", "partial")
        and getattr(procedure, "type", None) == "variable"
        and getattr(procedure, "value", None) == "eval"
    )


def _nodes(tree: Any) -> Iterator[Any]:
    """Every node of a parsed expression, once."""
    seen = set()
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list | tuple):
            waiting.extend(node)
        elif hasattr(node, "__dict__") and hasattr(node, "arguments") and id(node) not in seen:
            seen.add(id(node))
            yield node
            waiting.extend(vars(node).values())
