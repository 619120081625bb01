"""Route templates of HTTP triggers: `orders/{id}`, `{id:int}`, `{id?}`, `{*rest}`. Case does not count."""

import re
from urllib.parse import unquote

_PARAMETER = re.compile(r"\{(?P<star>\*)?(?P<name>[A-Za-z_]\w*)(?::(?P<kind>[a-z]+))?(?P<optional>\?)?\}")
_KINDS = {
    None: "[^/]+",
    "int": r"-?\d+",
    "alpha": "[A-Za-z]+",
    "guid": "[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}",
    "bool": "(?:[Tt]rue|[Ff]alse)",
}


class RouteError(ValueError):
    """A template that cannot be read."""


class Route:
    """One template, without the prefix `api`."""

    def __init__(self, template: str) -> None:
        """Raises RouteError."""
        self.template = template.strip("/")
        self._pattern = re.compile(self._expression(), re.IGNORECASE)
        # Literal segments win over parameters: the route with fewer parameters is tried first.
        self.parameters = tuple(self._pattern.groupindex)

    def match(self, path: str) -> dict[str, str] | None:
        """The parameters of a path (as on the wire), or None if it is another route's."""
        found = self._pattern.fullmatch(path)
        if found is None:
            return None
        return {name: unquote(value) for name, value in found.groupdict().items() if value is not None}

    def _expression(self) -> str:
        expression = ""
        for segment in self.template.split("/"):
            parameter = _PARAMETER.fullmatch(segment)
            if parameter is None:
                if "{" in segment or "}" in segment:
                    raise RouteError(f"the route segment {segment!r} is not supported")
                expression += "/" + re.escape(segment)
                continue
            name, kind = parameter["name"], parameter["kind"]
            if kind not in _KINDS:
                raise RouteError(f"the route constraint {kind!r} is not supported")
            if parameter["star"]:
                expression += f"(?:/(?P<{name}>.*))?"
            elif parameter["optional"]:
                expression += f"(?:/(?P<{name}>{_KINDS[kind]}))?"
            else:
                expression += f"/(?P<{name}>{_KINDS[kind]})"
        return expression
