"""Reasons in words for the journal, bounded: a long name or many targets must not make a journal grow."""

MOST_CHARACTERS = 1_000
MOST_REASONS = 8


def cut(text: str, most: int = MOST_CHARACTERS) -> str:
    """The text, or its beginning where it has more than `most` characters."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def joined(*parts: str) -> str:
    """The parts as one reason."""
    return cut("; ".join(parts))


def few(reasons: tuple[str, ...]) -> tuple[str, ...]:
    """The reasons, each and all of them bounded; where some are left out, the first and the last stay."""
    if len(reasons) > MOST_REASONS:
        left_out = f"({len(reasons) - MOST_REASONS + 1} more)"
        reasons = (*reasons[: MOST_REASONS - 2], left_out, reasons[-1])
    return tuple(map(cut, reasons))
