"""Sections of a page in docs/ that a command renews."""

from pathlib import Path


def renew(file: Path, name: str, text: str) -> None:
    """Put the text between the page's marks of this name. Raises ValueError where it has none."""
    begin_mark, end_mark = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, begin, rest = file.read_text("utf-8").partition(begin_mark)
    _, end, after = rest.partition(end_mark)
    if not begin or not end:
        raise ValueError(f"{file} has no marks {begin_mark} and {end_mark}")
    file.write_text(f"{before}{begin}\n\n{text.strip()}\n\n{end}{after}", "utf-8")
