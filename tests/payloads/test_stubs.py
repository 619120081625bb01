import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.stores import stubs
from core.errors import JournalUnreadable
from core.machine.journal import Envelope, encode
from core.ports.payloads import check_key


@given(st.text(max_size=40), st.binary(max_size=200), st.integers(0, 10**9), st.text(), st.integers(0, 10**9))
def test_a_stub_is_read_as_it_was_written(
    execution_id: str, data: bytes, version: int, commit_id: str, term: int
) -> None:
    group = stubs.group_of(execution_id)
    if group is None:
        assert not execution_id or len(execution_id.encode("utf-8", "surrogatepass")) * 3 > 200
        return
    stub = stubs.stub_for(group, "j", version, commit_id, term, data)
    check_key(stub.key)
    written = stubs.dump(stub)
    assert stubs.is_stub(written)
    assert stubs.parse(written) == stub
    assert stubs.intact(stub, data)
    assert not stubs.intact(stub, data + b"!")
    assert stubs.execution_of(group) == execution_id
    assert stubs.place_in_journal(stub.key) == ("j", version)


@given(st.binary(max_size=300))
def test_what_is_no_stub_is_unreadable_and_nothing_worse(data: bytes) -> None:
    with pytest.raises(JournalUnreadable):
        stubs.parse(stubs.MAGIC + data)


@given(st.data())
def test_a_damaged_stub_is_unreadable_or_another_stub(data: st.DataObject) -> None:
    written = stubs.dump(stubs.stub_for("x", "s", 7, "1.2", 3, b"data"))
    at = data.draw(st.integers(len(stubs.MAGIC), len(written) - 1))
    damaged = written[:at] + bytes([data.draw(st.integers(0, 255))]) + written[at + 1 :]
    with contextlib.suppress(JournalUnreadable):
        assert stubs.parse(damaged) is not None


@given(st.text(), st.text())
def test_two_texts_never_share_an_encoding(one: str, other: str) -> None:
    assert (stubs.encoded(one) == stubs.encoded(other)) == (one == other)


@given(st.text(alphabet="abcXYZ019=-_~.", max_size=20))
def test_a_group_is_of_one_execution_or_of_none(group: str) -> None:
    execution_id = stubs.execution_of(group)
    assert execution_id is None or stubs.group_of(execution_id) == group


def test_no_journal_begins_like_a_stub() -> None:
    envelope = Envelope(seq=1, at=0, epoch=0, actor="a", commit="c", events=())
    assert not stubs.is_stub(encode(envelope))
    assert stubs.MAGIC[0] not in encode(envelope)
