from core.data.checking import check_find, check_intrinsic, check_path


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
