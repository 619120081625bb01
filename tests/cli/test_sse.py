"""Server-Sent Events as the standard reads them."""

from cli.sse import Message, messages


def test_events_are_read_with_their_type_data_and_id() -> None:
    lines = ["id: 3", "event: STEP", "data: {", "data: }", "", "data:x", ""]
    assert list(messages(lines)) == [Message("STEP", "{\n}", "3"), Message("message", "x", "3")]


def test_a_comment_is_a_tick_and_an_event_without_data_is_none() -> None:
    assert list(messages([": still here", "id: 9", "event: nothing", "", "data", ""])) == [
        None,
        Message("message", "", "9"),
    ]


def test_an_event_that_was_cut_off_is_no_event() -> None:
    assert list(messages(["data: half"])) == []
