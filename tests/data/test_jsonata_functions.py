"""The functions that the States Language adds to JSONata, and those that need time and chance."""

import hashlib
from typing import Any

import pytest

from core.data.jsonata import JsonataFailed, evaluate_jsonata
from core.data.paths import MISSING

NOW = 1_700_000_000_123


def value(expression: str, entropy: int = 7, **bindings: Any) -> Any:
    return evaluate_jsonata(expression, MISSING, bindings, now_ms=NOW, entropy=entropy)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("$partition([1, 2, 3, 4, 5], 2)", [[1, 2], [3, 4], [5]]),
        ("$partition([1, 2], 9)", [[1, 2]]),
        ("$partition([1, 2, 3], 1.9)", [[1], [2], [3]]),
        ("$partition([], 2)", []),
        ("$partition([[1], null], 1)", [[[1]], [None]]),
        ("$map([[1, 2], [3]], $partition(?, 1))", [[[1], [2]], [[3]]]),
        ("$range(0, 10, 2)", [0, 2, 4, 6, 8, 10]),
        ("$range(0, 9, 2)", [0, 2, 4, 6, 8]),
        ("$range(5, 1, -2)", [5, 3, 1]),
        ("$range(3, 3, 1)", [3]),
        ("$range(1, 0, 1)", []),
        ("$range(0.9, 2.9, 1)", [0, 1, 2]),
        ("$parse('[1, null, {\"a\": -0}]')", [1, None, {"a": 0}]),
        ('$parse(\'{"a": {"b": 1.5}}\').a.b', 1.5),
        ("$parse('null')", None),
        ("'2' ~> $parse", 2),
    ],
)
def test_a_function_of_the_states_language_gives(expression: str, expected: object) -> None:
    assert value(expression) == expected


@pytest.mark.parametrize(
    "call", ["$partition($no, 2)", "$range($no, 1, 1)", "$hash($no, 'MD5')", "$parse($no)"]
)
def test_what_is_undefined_stays_so(call: str) -> None:
    assert value(call) is MISSING


@pytest.mark.parametrize(
    ("expression", "part"),
    [
        ("$partition([1], 0)", "positive"),
        ("$partition([1], -1)", "positive"),
        ("$range(0, 1, 0)", "not zero"),
        ("$range(0, 10000000, 1)", "10000000"),
        ("$range(0, 1)", "range"),
        ("$range('a', 1, 1)", "range"),
        ("$hash('a', 'CRC')", "SHA-512"),
        ("$hash('a')", "hash"),
        ("$parse('{')", "not JSON"),
        ("$parse('NaN')", "not JSON"),
        ("$parse($join($map([1..100], function() { '[' })))", "not JSON"),
        ("$eval('1')", "$eval"),
        ("($e := $eval; $e('1'))", "$eval"),
    ],
)
def test_a_function_says_what_it_cannot_do(expression: str, part: str) -> None:
    with pytest.raises(JsonataFailed) as refused:
        value(expression)
    assert part in str(refused.value)


@pytest.mark.parametrize(
    ("name", "algorithm"),
    [("MD5", "md5"), ("SHA-1", "sha1"), ("SHA-256", "sha256"), ("SHA-384", "sha384"), ("SHA-512", "sha512")],
)
def test_a_hash_is_that_of_the_text_in_utf_8(name: str, algorithm: str) -> None:
    expected = hashlib.new(algorithm, "grün".encode()).hexdigest()
    assert value("$hash($text, $name)", text="grün", name=name) == expected


def test_time_stands_still() -> None:
    assert value("[$now(), $millis(), $now('[Y0001]')]") == ["2023-11-14T22:13:20.123Z", NOW, "2023"]


def test_chance_is_repeated_with_the_same_entropy_and_differs_with_another() -> None:
    drawn = value("[$random(), $random(), $uuid(), $uuid(), $shuffle([1..20])]")
    assert drawn == value("[$random(), $random(), $uuid(), $uuid(), $shuffle([1..20])]")
    assert drawn[0] != drawn[1]
    assert drawn[2] != drawn[3]
    other = value("[$random(), $random(), $uuid(), $uuid(), $shuffle([1..20])]", entropy=8)
    assert all(one != two for one, two in zip(drawn[:4], other[:4], strict=True))
    assert sorted(drawn[4:]) == list(range(1, 21))


def test_a_seed_decides_about_chance_whatever_the_entropy() -> None:
    assert value("$random(5)") == value("$random(5)", entropy=9)
    assert value("$random(5)") != value("$random(6)")
    assert 0 <= value("$random(5)") < 1


def test_a_uuid_is_of_version_four() -> None:
    assert value(
        "$contains($uuid(), /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)"
    )


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("$sort([3, 1, 2])", [1, 2, 3]),
        ("$sort(['b', 'a'])", ["a", "b"]),
        ("$sort([3, 1, 2], function($a, $b) { $a < $b })", [3, 2, 1]),
        ("$sort([3, 1, 2], function($a, $b) { $b - $a })", [3, 2, 1]),
        ("$sort($same, function($a, $b) { $a.k > $b.k }).n", [3, 1, 2]),
        ("$distinct([1, true, 1.0, '1', null, null])", [1, True, "1", None]),
        ("5.5 % 2", 1.5),
        ("-7 % 3", -1),
        ("1 in [true]", False),
        ("2 in [1, 2]", True),
    ],
)
def test_where_the_library_strays_jsonata_counts(expression: str, expected: object) -> None:
    assert value(expression, same=[{"k": 1, "n": 1}, {"k": 1, "n": 2}, {"k": 0, "n": 3}]) == expected


def test_sorting_what_has_no_order_fails() -> None:
    for items in ("[1, 'a']", "[true, false]", "[{}, {}]"):
        with pytest.raises(JsonataFailed, match="sort"):
            value(f"$sort({items})")


def test_a_variable_named_as_a_function_counts() -> None:
    assert value("$uuid", uuid="mine") == "mine"
