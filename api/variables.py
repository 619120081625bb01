"""Which environment variables are settings.

Kubernetes describes every service of a namespace to every container in it, by variables that begin with the
service's name: beside a service `sidestep` stands SIDESTEP_PORT=tcp://10.0.0.1:3000. Those are left aside
knowingly. What else begins like a setting and is none is told, since whoever wrote it meant something by it.
"""

import difflib
import re
from collections.abc import Iterator, Mapping
from typing import Any, get_args

from pydantic import BaseModel

PREFIX = "SIDESTEP_"

NO_SETTINGS = frozenset({"SIDESTEP_CONFIG", "SIDESTEP_SERVER", "SIDESTEP_LOCALCLOUD", "SIDESTEP_TRACEBACK"})
"""What this program reads beside its settings."""

_OF_A_SERVICE = re.compile(
    r"SIDESTEP_(?:\w+_)?"
    r"(?:SERVICE_HOST|SERVICE_PORT(?:_\w+)?|PORT_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)"
)
_ADDRESS = re.compile(r"(?:tcp|udp|sctp)://", re.IGNORECASE)

_SHOWN = 60
"""How much of a name that somebody else chose is repeated."""


def without_services(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without what Kubernetes says of services whose names begin with `sidestep`."""
    return {name: value for name, value in environment.items() if not _of_a_service(name.upper(), value)}


def unknown(environment: Mapping[str, str], settings: type[BaseModel]) -> dict[str, str]:
    """Of each variable that looks like a setting and is none, a sentence that names the nearest one.

    Names below a section that exists are left to the section, which refuses what it does not know. Values
    are not repeated.
    """
    found = {}
    for name, value in without_services(environment).items():
        upper = name.upper()
        if not value or not upper.startswith(PREFIX) or upper in NO_SETTINGS:
            continue
        if upper.removeprefix(PREFIX).partition("__")[0].lower() in settings.model_fields:
            continue
        near = _nearest(upper, [*_names(settings, PREFIX), *sorted(NO_SETTINGS)])
        hint = f"did you mean {near}?" if near else "docs/reference/settings.md lists those that there are."
        found[name] = f"The environment variable {name[:_SHOWN]!a} is no setting, and is ignored; {hint}"
    return found


def _nearest(name: str, names: list[str]) -> str | None:
    """The one that it begins, or else the one that it is most like, beyond the prefix that all share."""
    begun = [one for one in names if one.startswith(name)]
    if begun:
        return begun[0]
    bare = [one.removeprefix(PREFIX) for one in names]
    near = difflib.get_close_matches(name.removeprefix(PREFIX), bare, 1)
    return PREFIX + near[0] if near else None


def _of_a_service(upper: str, value: str) -> bool:
    if _OF_A_SERVICE.fullmatch(upper):
        return True
    return upper.startswith(PREFIX) and upper.endswith("PORT") and _ADDRESS.match(value) is not None


def _names(settings: type[BaseModel], prefix: str) -> Iterator[str]:
    """Every variable that sets something, those of sections too."""
    for name, field in settings.model_fields.items():
        variable = prefix + name.upper()
        section = _section(field.annotation)
        if section is None:
            yield variable
        else:
            yield from _names(section, f"{variable}__")


def _section(annotation: Any) -> type[BaseModel] | None:
    """The section that a field holds, itself or as an alternative to None."""
    for one in (annotation, *get_args(annotation)):
        if isinstance(one, type) and issubclass(one, BaseModel):
            return one
    return None
