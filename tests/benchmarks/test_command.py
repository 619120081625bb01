"""The commands: what they refuse, and that each part is known by its name."""

import pytest

from benchmarks import profile
from benchmarks.__main__ import PARTS, main
from benchmarks.children import Failed, child
from benchmarks.generator import Seen, Wanted
from benchmarks.sizes import Sizes


@pytest.mark.parametrize("seconds", ["0", "0.05", "61", "nan"])
def test_lengths_of_a_run_that_cannot_be_are_refused(
    seconds: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--seconds", seconds]) == 2
    assert "--seconds is 0.1 to 60" in capsys.readouterr().err


def test_a_page_takes_the_whole_table_only(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--only", "maps", "--docs", "page.md"]) == 2
    assert "--docs goes without --only" in capsys.readouterr().err


def test_a_part_that_is_none_is_refused_with_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--only", "meteor"])
    said = capsys.readouterr().err
    assert all(name in said for name in PARTS)


def test_a_profile_of_no_time_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert profile.main(["--seconds", "0"]) == 2
    assert "--seconds is 1 to 120" in capsys.readouterr().err


def test_more_seconds_measure_more_of_everything() -> None:
    short, long = Sizes.of(1.0), Sizes.of(4.0)
    assert Sizes.of(2.0) == Sizes()
    assert (short.length_steps, long.length_steps) == (6_000, 24_000)
    assert short.seconds < long.seconds
    assert short.alone < long.alone


async def test_the_generator_says_why_it_cannot_and_goes_on() -> None:
    # Nobody listens on port 1 of loopback.
    async with child("generator", 1) as one:
        for _ in range(2):
            with pytest.raises(Failed, match=r"generator: .*(refused|Errno)"):
                await one.ask(Wanted("{}", 1, count=1), Seen, 20)


async def test_a_program_that_ends_early_is_told_of() -> None:
    async with child("generator", "no-port") as one:
        with pytest.raises(Failed, match=r"generator ended\."):
            await one.line(20)
