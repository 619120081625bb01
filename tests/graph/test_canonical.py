import hashlib
from typing import Any

import pytest

from core.errors import InvalidInput
from core.graph.canonical import canonical, digest
from core.graph.limits import Limits


def test_the_canonical_form_is_sorted_bare_utf8() -> None:
    document = {"b": [1, 1.0, 1e22, -0.5, True, None], "a": {"ü": "é\n/", "z": ""}}
    assert canonical(document) == '{"a":{"z":"","ü":"é\\n/"},"b":[1,1.0,1e+22,-0.5,true,null]}'.encode()


def test_a_digest_is_the_sha256_of_the_canonical_form() -> None:
    source = canonical({"b": 1, "a": 2})
    assert (
        digest(source) == hashlib.sha256(b'{"a":2,"b":1}').hexdigest() == digest(canonical({"a": 2, "b": 1}))
    )


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({"a": [float("nan")]}, r"nan is not a JSON number. \(at '/a/0'\)"),
        (float("-inf"), r"-inf is not a JSON number. \(at ''\)"),
        ({"a/b": "\ud800"}, r"lone surrogate. \(at '/a~1b'\)"),
        ({"\ud800": 1}, "name is not valid Unicode"),
        ({1: 1}, "name is not valid Unicode"),
        ({"a": {1, 2}}, r"type set is not JSON. \(at '/a'\)"),
        ({"a": (1, 2)}, r"type tuple is not JSON. \(at '/a'\)"),
        (b"a", "type bytes is not JSON"),
        ([2**1023], "larger than a double"),
    ],
)
def test_what_has_no_canonical_form_is_refused_with_its_place(document: Any, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        canonical(document)


def test_the_canonical_form_is_bounded() -> None:
    limits = Limits(definition_bytes=10, depth=2)
    assert canonical([[1]], limits) == b"[[1]]"
    documents: list[Any] = ["x" * 9, [1] * 11, [[[]]]]
    for document in documents:
        with pytest.raises(InvalidInput):
            canonical(document, limits)
