"""Files and inputs that users name."""

from pathlib import Path

import pytest

from cli.documents import NotJson, read_input, read_json, read_value
from cli.failures import USAGE, Stop


def test_a_file_of_json_is_read(tmp_path: Path) -> None:
    file = tmp_path / "flow.json"
    file.write_bytes(b'\xef\xbb\xbf{"a": [1]}')
    assert read_json(str(file)) == {"a": [1]}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"a": 1,\n "b" 2}', "line 2, column 6"),
        (b"\xff\xfe", "not UTF-8"),
        (b'{"a": NaN}', "NaN is no JSON number"),
        (b"[" * 100_000, "nested too deeply"),
        (b"", "line 1, column 1"),
        (b"1" * 5_000, "is not JSON"),
    ],
)
def test_what_is_no_json_is_told_with_its_place(tmp_path: Path, content: bytes, said: str) -> None:
    file = tmp_path / "flow.json"
    file.write_bytes(content)
    with pytest.raises(NotJson, match=said) as told:
        read_json(str(file))
    assert told.value.code == USAGE


@pytest.mark.parametrize("name", ["missing.json", ".", "a\0b"])
def test_a_file_that_cannot_be_read_is_a_sentence(tmp_path: Path, name: str) -> None:
    with pytest.raises(Stop) as told:
        read_json(f"{tmp_path}/{name}")
    assert told.value.code == USAGE
    assert not isinstance(told.value, NotJson)


@pytest.mark.parametrize(("text", "value"), [("5", 5), ("-1.5e3", -1500.0), ("null", None), ('"x"', "x")])
def test_an_input_that_is_no_object_is_json_itself(text: str, value: object) -> None:
    assert read_value(text, "--input") == value


def test_a_file_whose_name_could_be_a_number_is_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "5").write_bytes(b'{"a": 1}')
    monkeypatch.chdir(tmp_path)
    assert read_value("5", "--input") == {"a": 1}


def test_an_input_is_json_itself_or_a_file(tmp_path: Path) -> None:
    file = tmp_path / "input.json"
    file.write_text('{"b": 2}')
    assert read_input(None) == {}
    assert read_input("[1]") == [1]
    assert read_input(' {"a": 1}') == {"a": 1}
    assert read_input(str(file)) == {"b": 2}
    file.write_text("7")
    assert read_input(str(file)) == 7
