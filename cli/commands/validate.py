"""`sidestep validate`: what is wrong with a definition, without running it."""

from typing import Annotated, Any

import typer

from cli.failures import FAILED
from cli.options import AsJson


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(validate)


def validate(
    file: Annotated[str, typer.Argument(metavar="FILE", help="The definition, JSON; `-` is standard input.")],
    server: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Ask this server, which also knows what is configured there."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check a definition: every problem, where it is, and how to mend it.

    It is checked here, without a server, unless --server names one. Exit 0 when it can run (hints may be
    printed), 1 when it cannot, 2 when the file cannot be read.
    """
    from cli.client import told_detail
    from cli.documents import NotJson, read_json
    from cli.output import emit, say

    try:
        document = read_json(file)
    except NotJson as broken:
        problems = [_problem("", "not-json", broken.message, "Mend the JSON first.")]
    else:
        problems = _checked_here(document) if server is None else _checked_there(server, document)
    valid = all(one.get("severity") == "hint" for one in problems)
    if as_json:
        emit({"valid": valid, "problems": problems})
    else:
        say(*(told_detail(one) for one in problems))
        errors = sum(one.get("severity") != "hint" for one in problems)
        say(f"{file}: valid" if valid else f"{file}: {errors} problem{'' if errors == 1 else 's'}")
    if not valid:
        raise typer.Exit(FAILED)


def _checked_here(document: Any) -> list[dict[str, Any]]:
    from core.graph.reading import check

    return [
        _problem(found.pointer, found.code, found.detail, found.mend, found.severity)
        for found in check(document)
    ]


def _checked_there(server: str, document: Any) -> list[dict[str, Any]]:
    from cli.client import Client

    with Client(server) as client:
        answer = client.post("/workflows/validate", document)
    return list(answer.get("problems") or ())


def _problem(pointer: str, code: str, detail: str, mend: str, severity: str = "error") -> dict[str, Any]:
    return {"pointer": pointer, "code": code, "detail": detail, "mend": mend, "severity": severity}
