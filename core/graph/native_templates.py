"""Reading templates: JSON in which strings `{% JSONata %}` and `$.dotted.paths` stand for values.

Any other string is itself. docs/reference/workflow-json.md, "Templates".
"""

from typing import Final

from core.data.flow import Flow, Template
from core.data.paths import split
from core.errors import InvalidInput
from core.graph.expressions import check_expression
from core.graph.fields import Fields
from core.graph.findings import Place, shown
from core.graph.model import Json

OPENING: Final = "{%"
CLOSING: Final = "%}"
PATH: Final = "$."

LANGUAGE: Final = "native"


def read_template(fields: Fields, name: str) -> Template | None:
    """The member `name` as a template; None where it is absent, null or wrong."""
    value = fields.raw(name)
    if value is None or not check_template(fields, value, (*fields.place, name)):
        return None
    return Template(value)


def read_flow(fields: Fields) -> Flow | None:
    """`input` and `output`; None where the step has neither."""
    arguments = read_template(fields, "input")
    output = read_template(fields, "output")
    if arguments is None and output is None:
        return None
    return Flow(language=LANGUAGE, arguments=arguments, output=output)


def read_output(fields: Fields) -> Flow | None:
    """`output` alone; None where the step has none."""
    output = read_template(fields, "output")
    return None if output is None else Flow(language=LANGUAGE, output=output)


def is_expression(text: str) -> bool:
    """Whether a template takes this string for JSONata."""
    return text.startswith(OPENING)


def is_template(text: str) -> bool:
    """Whether a string is more than itself in a template."""
    return text == "$" or text.startswith((OPENING, PATH))


def check_template(fields: Fields, value: Json, place: Place) -> bool:
    """Whether all expressions and paths in `value` can be read; notes those that cannot."""
    good = True
    waiting: list[tuple[Json, Place]] = [(value, place)]
    while waiting:
        here, where = waiting.pop()
        match here:
            case str():
                good = check_text(fields, here, where) and good
            case list():
                waiting.extend(reversed([(item, (*where, at)) for at, item in enumerate(here)]))
            case dict():
                waiting.extend(reversed([(item, (*where, key)) for key, item in here.items()]))
            case _:
                pass
    return good


def check_text(fields: Fields, text: str, place: Place) -> bool:
    """Whether a string of a template can be read; notes what is wrong with it."""
    if is_expression(text):
        return _check_expression(fields, text, place)
    if text.startswith(PATH):
        try:
            split(text.removeprefix(PATH))
        except InvalidInput as refused:
            fields.findings.error(
                place,
                "invalid-path",
                f"{fields.subject}: {shown(text)} is no path: {refused}",
                "Write it as '$.order.items.0.sku'.",
            )
            return False
    return True


def _check_expression(fields: Fields, text: str, place: Place) -> bool:
    if not text.endswith(CLOSING) or len(text) < len(OPENING) + len(CLOSING):
        fields.findings.error(
            place,
            "invalid-expression",
            f"{fields.subject}: {shown(text)} begins an expression and does not end it.",
            "End it with '%}'.",
        )
        return False
    inner = text[len(OPENING) : -len(CLOSING)]
    if not inner.strip():
        fields.findings.error(
            place,
            "invalid-expression",
            f"{fields.subject}: there is nothing between '{OPENING}' and '{CLOSING}'.",
            "Write a JSONata expression there, such as {% order.total * 2 %}.",
        )
        return False
    return check_expression(fields.findings, inner, place, fields.subject)
