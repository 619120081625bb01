"""Whether an expression of a definition can be read, at a bounded cost for the whole document."""

from typing import Final

from core.data.jsonata_plain import UNDECIDED, plain_walk
from core.graph.findings import Findings, Place, shown

MAX_TOGETHER: Final = 65_536
"""Characters of all expressions of one definition together, each text counted once. JSONata's parser takes up
to 30 microseconds for each, so about two seconds of CPU at worst."""


def check_expression(findings: Findings, text: str, place: Place, subject: str) -> bool:
    """Whether JSONata can read `text`, without its `{%` and `%}`; notes why not.

    What was accepted once (`quiet`) is not read again. `subject` names the step in sentences.
    """
    if findings.quiet or plain_walk(text, None, {}) is not UNDECIDED:
        return True
    if text in findings.expressions:
        reason = findings.expressions[text]
    else:
        before = findings.expression_characters
        findings.expression_characters += len(text)
        if findings.expression_characters > MAX_TOGETHER:
            if before <= MAX_TOGETHER:
                findings.error(
                    place,
                    "too-many-expressions",
                    f"{subject}: the expressions of this definition have more than {MAX_TOGETHER} characters "
                    "together, from here on.",
                    "Move the work into a function, or split the workflow.",
                )
            return False
        from core.data.jsonata import check_jsonata  # noqa: PLC0415 - large, and few definitions need it

        reason = findings.expressions[text] = check_jsonata(text)
    if reason is None:
        return True
    findings.error(
        place,
        "invalid-expression",
        f"{subject}: {shown(text.strip())} is no JSONata: {reason}",
        "Mend the expression between '{%' and '%}'.",
    )
    return False
