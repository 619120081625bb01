"""A hint where a retry of a whole PARALLEL or MAP would call an atMostOnce step once more."""

from typing import Any

from core.graph.reading import check


def found(retries: int, effects: str, *, inner_retries: int = 0) -> list[tuple[str, str]]:
    steps: list[dict[str, Any]] = [
        {"id": "fan", "type": "PARALLEL", "branches": ["each"], "retries": retries},
        {"id": "each", "type": "MAP", "items": "rows", "each": "pay", "retries": inner_retries},
        {"id": "pay", "type": "TASK", "provider": "AWS", "functionId": "f", "effects": effects},
    ]
    problems = check({"id": "w", "startAt": "fan", "steps": steps})
    assert all(one.severity == "hint" for one in problems)
    return [(one.code, one.pointer) for one in problems]


def test_a_payment_in_what_is_tried_again_as_a_whole_is_hinted_at() -> None:
    assert found(2, "atMostOnce") == [("retries-repeat", "/steps/0/retries")]
    assert found(0, "atMostOnce", inner_retries=1) == [("retries-repeat", "/steps/1/retries")]


def test_what_may_run_twice_or_is_not_repeated_is_not() -> None:
    assert found(2, "idempotent") == []
    assert found(0, "atMostOnce") == []
