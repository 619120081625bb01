"""`sidestep graph`: a definition as a picture, without a server."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from cli.failures import FAILED, Stop, usage
from cli.options import AsJson

if TYPE_CHECKING:
    from core.graph.drawing.parts import Drawing

Format = Literal["mermaid", "svg", "json"]


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(graph)


def graph(
    file: Annotated[str, typer.Argument(metavar="FILE", help="The definition, JSON; `-` is standard input.")],
    form: Annotated[
        Format, typer.Option("--format", metavar="FORMAT", help="mermaid, svg, or json (nodes and edges).")
    ] = "mermaid",
    out: Annotated[str, typer.Option(metavar="FILE", help="Where to write; `-` is standard output.")] = "-",
    as_json: AsJson = False,
) -> None:
    """Draw a definition: its steps, and what leads where.

    Exit 1 when it has problems (as `sidestep validate` tells them, on standard error) or is too large for a
    picture, 2 when a file cannot be read or written.
    """
    from cli.documents import NotJson, read_json

    try:
        document = read_json(file)
    except NotJson as broken:
        _tell([_problem("", "not-json", broken.message, "Mend the JSON first.")], file, as_json=as_json)
        raise typer.Exit(FAILED) from broken
    drawing = _drawn(document, file, as_json=as_json)
    text = _written(drawing, "json" if as_json else form)
    if out == "-":
        sys.stdout.write(text)
        sys.stdout.flush()
        return
    try:
        Path(out).write_text(text, encoding="utf-8")
    except OSError as problem:
        raise usage(f"{out} cannot be written: {problem.strerror or problem}.") from problem
    except ValueError as problem:
        raise usage(f"{out!r} is no file name: {problem}.") from problem


def _drawn(document: Any, file: str, *, as_json: bool) -> "Drawing":
    from core.errors import InvalidDefinition
    from core.graph.drawing.outline import outline
    from core.graph.reading import read_workflow

    try:
        return outline(read_workflow(document))
    except InvalidDefinition as refused:
        told = [
            _problem(found.pointer, found.code, found.detail, found.mend, found.severity)
            for found in refused.problems
        ]
        _tell(told, file, as_json=as_json)
        raise typer.Exit(FAILED) from refused


def _problem(pointer: str, code: str, detail: str, mend: str, severity: str = "error") -> dict[str, Any]:
    return {"pointer": pointer, "code": code, "detail": detail, "mend": mend, "severity": severity}


def _tell(problems: list[dict[str, Any]], file: str, *, as_json: bool) -> None:
    from cli.client import told_detail
    from cli.output import complain, emit

    if as_json:
        emit({"valid": False, "problems": problems})
    # A picture goes to standard output, often into a file: problems do not belong into it.
    count = len(problems)
    complain(*(told_detail(one) for one in problems), f"{file}: {count} problem{'' if count == 1 else 's'}")


def _written(drawing: "Drawing", form: Format) -> str:
    from core.errors import InvalidInput
    from core.graph.drawing.mermaid import mermaid
    from core.graph.drawing.svg import svg

    if form == "mermaid":
        return mermaid(drawing)
    if form == "json":
        import json

        import msgspec

        return json.dumps(msgspec.to_builtins(drawing), indent=2) + "\n"
    try:
        return svg(drawing)
    except InvalidInput as too_large:
        raise Stop(f"{too_large} Mermaid and JSON have no such limit.", FAILED) from too_large
