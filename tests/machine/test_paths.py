from hypothesis import given
from hypothesis import strategies as st

from core.machine.paths import base_path, branch_scope, idempotency_key, visit_path

ids = st.text(min_size=1, max_size=128)


def test_paths_read_as_in_the_docs() -> None:
    assert visit_path("", "charge", 1) == "charge"
    assert visit_path("fan/0", "charge", 2) == "fan/0/charge~2"
    assert branch_scope("each", 17) == "each/17"
    assert visit_path("", "a/b~c", 1) == "a%2Fb%7Ec"


@given(st.lists(st.tuples(ids, st.integers(1, 3)), min_size=2, max_size=6, unique=True))
def test_different_visits_have_different_paths_that_fit_a_header(visits: list[tuple[str, int]]) -> None:
    paths = [visit_path("", step_id, count) for step_id, count in visits]
    assert len(set(paths)) == len(paths)
    assert all(path.isascii() and path.isprintable() and " " not in path for path in paths)


@given(ids, ids)
def test_a_step_id_cannot_pretend_to_be_a_branch(outer: str, inner: str) -> None:
    assert base_path(branch_scope(base_path("", outer), 0), inner) != base_path("", f"{outer}/0/{inner}")


@given(st.lists(ids, min_size=1, max_size=20), st.integers(1, 99))
def test_a_key_is_short_and_printable_and_differs_by_round(names: list[str], round_: int) -> None:
    scope = ""
    for name in names:
        scope = branch_scope(base_path(scope, name), 0)
    key = idempotency_key("x" * 40, scope, round_)
    assert len(key) <= 200
    assert key.isascii()
    assert key.isprintable()
    assert key != idempotency_key("x" * 40, scope, round_ + 1)
    assert key != idempotency_key("x" * 40, scope + "/0", round_)
