import json
import math
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data.decoding import loads, workflow_in
from core.errors import InvalidInput

REFUSED = [
    (b"", "empty"),
    (b" \n", "empty"),
    (b'{"a": 1,}', "trailing comma in object, at line 1, column 9"),
    (b'{"a":\n 1 2}', "at line 2, column 4"),
    (b'{"a": "b', "ends too early, at line 1, column 9"),
    (b'{"a": NaN}', "NaN and Infinity are no JSON numbers, at line 1, column 7"),
    (b"[-Infinity]", "NaN and Infinity are no JSON numbers"),
    (b'{"a": [1e999]}', "larger than a double can hold"),
    (b"9" * 400, "308 digits"),
    (b"[" + b"9" * 5_000 + b"]", "larger than a double can hold"),
    (b'"\\ud800"', "surrogate"),
    (b'["\\ud800 and more text"]', "surrogate"),
    (b'{"a": "\xff"}', "not UTF-8, at line 1, column 8"),
    (b'{"a": 1, "b": {"x": 1, "x": 2}}', 'has the member "x" twice'),
    (b'{"a":"x","a":"\\u003a"}', 'has the member "a" twice'),
    (b'{"a": 1} {"b": 2}', "trailing characters"),
    (b"\xef\xbb\xbf{}", "invalid character, at line 1, column 1"),
    ('{"a": 1}'.encode("utf-16"), "line 1, column 1"),
]


@pytest.mark.parametrize(("data", "reason"), REFUSED)
def test_what_is_not_clean_json_is_refused_with_its_place(data: bytes, reason: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        loads(data)
    assert reason in str(refused.value)


def test_nesting_is_bounded_before_it_is_decoded() -> None:
    assert loads(b"[" * 64 + b"]" * 64)
    for data in (b"[" * 65 + b"]" * 65, b"[" * 10_000, b'{"a":' * 10_000 + b"1" + b"}" * 10_000):
        with pytest.raises(InvalidInput, match=r"nested deeper than 64 levels, at line 1, column "):
            loads(data)


def test_brackets_inside_strings_are_no_nesting() -> None:
    text = '[{"' * 1_000 + "\\"
    assert loads(json.dumps({"text": text, "more": [text]}).encode()) == {"text": text, "more": [text]}


def test_size_is_bounded() -> None:
    assert loads(b'"aaa"', max_bytes=5) == "aaa"
    with pytest.raises(InvalidInput, match="has 6 bytes; the limit is 5"):
        loads(b'"aaaa"', max_bytes=5)


@pytest.mark.parametrize(
    "data",
    [
        b'\\"' * 500_000,
        b'"' + b"\\" * 999_999,
        b"[]" * 100 + b'"' + b'\\"' * 499_000,
        b"{}" * 500_000,
        b'"[' * 500_000,
    ],
)
def test_hostile_text_is_refused_in_linear_time(data: bytes) -> None:
    started = time.process_time()
    with pytest.raises(InvalidInput):
        loads(data)
    # Quadratic work on a megabyte takes minutes; a second is far from both.
    assert time.process_time() - started < 1


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**300), 10**300)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(JSON, st.booleans())
def test_what_was_encoded_comes_back(value: Any, ascii_only: bool) -> None:
    assert loads(json.dumps(value, ensure_ascii=ascii_only).encode()) == value


@given(st.binary(max_size=40) | st.text(alphabet='[]{}",:\\u0d8e1-.NaI \n', max_size=40).map(str.encode))
def test_any_bytes_are_decoded_or_refused(data: bytes) -> None:
    try:
        value = loads(data)
    except InvalidInput:
        return
    assert not isinstance(value, float) or math.isfinite(value)
    json.dumps(value, allow_nan=False, ensure_ascii=False).encode()


MEMBERS = st.recursive(
    st.sampled_from(['"a"', '"a:b"', '"\\u003a"', '":"', "1", '"\\\\"', "0.5", "[]", "{}"]),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda values: f"[{','.join(values)}]"),
        st.lists(st.tuples(st.sampled_from(["a", "b", ":", "\\u0061", "c:d"]), inner), max_size=3).map(
            lambda pairs: "{" + ",".join(f'"{name}":{value}' for name, value in pairs) + "}"
        ),
    ),
    max_leaves=8,
)


@given(MEMBERS)
def test_a_member_named_twice_is_found_wherever_colons_stand(text: str) -> None:
    twice = False

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal twice
        twice = twice or len(dict(pairs)) < len(pairs)
        return dict(pairs)

    expected = json.loads(text, object_pairs_hook=members)
    if twice:
        with pytest.raises(InvalidInput, match="twice"):
            loads(text.encode())
    else:
        assert loads(text.encode()) == expected


@given(st.integers(0, 700), st.integers(250, 400), st.booleans())
def test_a_whole_number_is_too_long_wherever_it_stands(before: int, digits: int, quoted: bool) -> None:
    number = "1" * digits
    data = f"[{' ' * before}{chr(34) + number + chr(34) if quoted else number}]".encode()
    if digits > 308 and not quoted:
        with pytest.raises(InvalidInput):
            loads(data)
    else:
        assert loads(data) == [number if quoted else int(number)]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b'{"input": {}, "workflow": {"a": [1, 2]} }', b'{"a": [1, 2]}'),
        (b'{"work\\u0066low": [1], "x": "\xff"}', b"[1]"),
        (b'{"workflow": {"a": 1}, "input": {"a": 1}}', None),
        (b'{"workflowId": "x"}', None),
        (b"[]", None),
        (b"{", None),
        (b"", None),
        (b'{"a":' * 10_000, None),
    ],
)
def test_the_text_of_a_workflow_is_told_where_it_stands_once(data: bytes, text: bytes | None) -> None:
    assert workflow_in(data) == text
