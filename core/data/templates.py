"""Templates: JSON in which some strings (JSONata, native) or members (JSONPath) are expressions.

In a payload template of JSONPath an index past a list's end is null, where any other path that names
nothing fails; as an argument of an intrinsic function it fails too. So it is on AWS.
"""

from collections.abc import Mapping
from typing import Final, Protocol

from core.data import intrinsics
from core.data.failures import Failed, NothingThere, Unbounded, runtime
from core.data.flow import EXPRESSION_ERROR, QUERY_ERROR, Language
from core.data.intrinsic_calls import NotACall, compile_call, is_call
from core.data.jsonata_plain import UNDECIDED, plain_walk
from core.data.jsonpath import NotAPath, compile_path
from core.data.paths import MISSING, Json, lookup, split
from core.data.scope import Chance, Scope
from core.data.sizes import MAX_VALUE, Budget
from core.errors import InvalidInput

OPENING: Final = "{%"
CLOSING: Final = "%}"


class Speaker(Protocol):
    """Evaluates the templates of one request in one language."""

    def render(self, source: Json, field: str, limit: int) -> Json:
        """The value of a template. `field` names it in causes.

        Raises Failed, Unbounded, and TooLarge where the value has more than `limit` bytes of JSON.
        """
        ...


def expression_of(text: str) -> str | None:
    """What stands between `{%` and `%}`; None for a string that is no JSONata."""
    if text.startswith(OPENING) and text.endswith(CLOSING) and len(text) >= len(OPENING) + len(CLOSING):
        return text[len(OPENING) : -len(CLOSING)].strip()
    return None


def find(text: str, scope: Scope, field: str) -> Json:
    """The value of a path or of an intrinsic function's call. Raises Failed, Unbounded and TooLarge."""
    try:
        if is_call(text):
            return intrinsics.call(compile_call(text), scope)
        return scope.find(compile_path(text))
    except NothingThere as missing:
        there = f"The JSONPath '{missing.path}' specified for the field '{field}'"
        cause = missing.cause.replace(f"The JSONPath '{missing.path}'", there, 1)
        raise NothingThere(missing.path, cause) from missing
    except (NotAPath, NotACall) as refused:
        raise runtime(f"The value '{text}' of the field '{field}' cannot be read: {refused}") from refused


class Paths:
    """Speaks JSONPath: members whose names end in `.$`."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    def render(self, source: Json, field: str, limit: int) -> Json:
        """See Speaker."""
        return self._render(source, field, Budget(limit))

    def _render(self, source: Json, field: str, budget: Budget) -> Json:
        match source:
            case dict():
                return self._members(source, budget)
            case list():
                budget.spend(len(source))
                return [self._render(item, field, budget) for item in source]
            case _:
                budget.take(source)
                return source

    def _members(self, source: Mapping[str, Json], budget: Budget) -> Json:
        made = {}
        for name, value in source.items():
            budget.take(name)
            if name.endswith(".$"):
                if not isinstance(value, str):
                    raise runtime(f"The value of the field '{name}' must be a string.")
                found = self._found(value, name)
                budget.take(found)
                made[name.removesuffix(".$")] = found
            else:
                made[name] = self._render(value, name, budget)
        return made

    def _found(self, text: str, field: str) -> Json:
        try:
            return find(text, self._scope, field)
        except NothingThere:
            if not is_call(text) and self._scope.is_past_end(compile_path(text)):
                return None
            raise


class Expressions:
    """Speaks JSONata and, natively, dotted paths: strings `{% ... %}` and `$.a.b`."""

    def __init__(
        self,
        language: Language,
        *,
        root: Json,
        bindings: Mapping[str, Json],
        now_ms: int,
        chance: Chance,
        bounded: bool,
        path_root: Json = None,
    ) -> None:
        self._native = language == "native"
        self.error = EXPRESSION_ERROR if self._native else QUERY_ERROR
        self._root = root
        self._bindings = bindings
        self._now_ms = now_ms
        self._chance = chance
        self._bounded = bounded
        self._path_root = path_root

    def render(self, source: Json, field: str, limit: int) -> Json:
        """See Speaker."""
        return self._render(source, field, Budget(limit))

    def _render(self, source: Json, field: str, budget: Budget) -> Json:
        match source:
            case dict():
                made = {}
                for name, value in source.items():
                    budget.take(name)
                    made[name] = self._render(value, f"{field}/{name}", budget)
                return made
            case list():
                budget.spend(len(source))
                return [self._render(item, f"{field}[{at}]", budget) for at, item in enumerate(source)]
            case str():
                value = self._string(source, field)
                budget.take(value)
                return value
            case _:
                budget.take(source)
                return source

    def _string(self, text: str, field: str) -> Json:
        expression = expression_of(text)
        if expression is not None:
            return self._evaluate(expression, field)
        if self._native and (text == "$" or text.startswith("$.")):
            return self._walk(text, field)
        return text

    def _evaluate(self, expression: str, field: str) -> Json:
        found = plain_walk(expression, self._root, self._bindings)
        entropy = self._chance.number()
        if found is UNDECIDED:
            if self._bounded:
                raise Unbounded
            from core.data import jsonata  # noqa: PLC0415 - large, and only the evaluator's children come here

            try:
                found = jsonata.evaluate_jsonata(
                    expression,
                    self._root,
                    self._bindings,
                    now_ms=self._now_ms,
                    entropy=entropy,
                    limit=MAX_VALUE,
                )
            except jsonata.JsonataFailed as failed:
                cause = f"{_named(expression, field)} threw an error during evaluation. {failed}"
                raise Failed(self.error, cause) from failed
        if found is MISSING:
            raise Failed(self.error, f"{_named(expression, field)} returned nothing (undefined).")
        return found

    def _walk(self, text: str, field: str) -> Json:
        try:
            found = lookup(self._path_root, split(text[2:])) if text != "$" else self._path_root
        except InvalidInput as refused:
            raise Failed(self.error, f"The path '{text}' of '{field}' cannot be read: {refused}") from refused
        if found is MISSING:
            raise Failed(self.error, f"The path '{text}' of '{field}' names nothing.")
        return found


def _named(expression: str, field: str) -> str:
    return f"The JSONata expression '{expression}' specified for the field '{field}'"
