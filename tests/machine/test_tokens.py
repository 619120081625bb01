"""Tokens of callbacks: what was signed is believed, and nothing else."""

from hypothesis import given
from hypothesis import strategies as st

from core.machine.tokens import MAX_TOKEN, token, verified

SECRETS = st.binary(min_size=1, max_size=40)
IDS = st.text(st.characters(codec="utf-8", exclude_characters="\n"), min_size=1, max_size=40)


@given(SECRETS, IDS, IDS)
def test_a_token_names_what_it_was_made_for(secret: bytes, execution_id: str, visit: str) -> None:
    assert verified(secret, token(secret, execution_id, visit)) == (execution_id, visit)


@given(SECRETS, SECRETS, IDS, IDS)
def test_a_token_of_another_secret_is_not_believed(one: bytes, other: bytes, x: str, visit: str) -> None:
    # HMAC fills a short key with zeros.
    if one.rstrip(b"\0") != other.rstrip(b"\0"):
        assert verified(other, token(one, x, visit)) is None


@given(SECRETS, IDS, st.integers(0), st.sampled_from("AZaz09-_.=+/ \n\0é"))
def test_a_token_with_another_character_is_not_believed(secret: bytes, x: str, at: int, other: str) -> None:
    right = token(secret, x, "step")
    place = at % len(right)
    changed = right[:place] + other + right[place + 1 :]
    for wrong in (changed, right + other, other + right, right[:place]):
        assert wrong == right or verified(secret, wrong) is None


@given(SECRETS, st.text(max_size=300))
def test_rubbish_is_not_believed_and_breaks_nothing(secret: bytes, rubbish: str) -> None:
    assert verified(secret, rubbish) is None


def test_no_token_is_believed_under_an_empty_secret_or_beyond_the_limit() -> None:
    assert verified(b"", token(b"", "x", "step")) is None
    long = token(b"s", "x", "v" * MAX_TOKEN)
    assert len(long) > MAX_TOKEN
    assert verified(b"s", long) is None
