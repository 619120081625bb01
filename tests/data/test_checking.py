import pytest

from core.data.checking import check_find, check_intrinsic, check_path, check_template
from core.data.flow import Json, Language


def test_paths_and_reference_paths_are_told_apart() -> None:
    assert check_path("$.a[*]") is None
    assert check_path("$.a[0]", reference=True) is None
    assert "reference path" in str(check_path("$.a[*]", reference=True))
    assert check_path("a") == "A path starts with '$'."


def test_calls_and_paths_are_told_apart() -> None:
    assert check_intrinsic("States.UUID()") is None
    assert check_intrinsic("$.a") is not None
    assert check_find("States.UUID()") is None
    assert check_find("$.a") is None
    assert check_find("States.Nothing()") == "There is no intrinsic function 'States.Nothing'."


@pytest.mark.parametrize(
    ("language", "template", "places"),
    [
        ("jsonpath", {"a.$": "$.x", "b": ["$.[", {"c.$": "States.Array($.x, 'y')"}]}, []),
        ("jsonpath", {"a.$": "x"}, [("a.$",)]),
        ("jsonpath", {"a": [{"b.$": 1}]}, [("a", 0, "b.$")]),
        ("jsonpath", {"a.$": "$.x", "a": 1}, [("a.$",)]),
        ("jsonpath", "{% ( %}", []),
        ("jsonata", {"a": "{% $x + 1 %}", "b.$": "x"}, []),
        ("jsonata", {"a": [1, "{% ( %}"]}, [("a", 1)]),
        ("jsonata", "{% 1", [()]),
        ("jsonata", "{% %}", [()]),
        ("native", {"a": "$.b.c", "d": "{% e %}", "f": "$"}, []),
        ("native", {"a": "$.b..c"}, [("a",)]),
        ("native", ["{% ) %}"], [(0,)]),
    ],
)
def test_expressions_that_cannot_be_read_are_found_where_they_are(
    language: Language, template: Json, places: list[tuple[str | int, ...]]
) -> None:
    found = check_template(template, language)
    assert [place for place, _ in found] == places
    assert all(sentence.endswith(".") for _, sentence in found)
