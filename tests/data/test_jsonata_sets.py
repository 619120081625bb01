"""Hyphens in sets of regular expressions, which Python warns of (here warnings are errors)."""

import pytest

from core.data.jsonata import check_jsonata
from core.data.jsonata_patterns import compile_pattern


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("[a-c]", "abc"),
        ("[-a]", "-a"),
        ("[a-]", "-a"),
        ("[+--]", "+,-"),
        ("[---]", "-"),
        ("[--0]", "-./0"),
        ("[a-c-e]", "-abce"),
        (r"[\--0]", "-./0"),
        (r"[a\-z]", "-az"),
        ("[^-a]", "+,./0bcez"),
    ],
)
def test_a_hyphen_makes_a_range_between_two_and_stands_for_itself_elsewhere(pattern: str, found: str) -> None:
    compiled = compile_pattern(pattern)
    assert "".join(char for char in "+,-./0abcez" if compiled.fullmatch(char)) == found


@pytest.mark.parametrize("pattern", ["[a--b]", "[---]", "[+--]", "[--0][--0]", "[^--0]"])
def test_two_hyphens_in_a_row_are_no_warning(pattern: str) -> None:
    refused = check_jsonata(f"/{pattern}/")
    assert refused is None or "bad character range" in refused
