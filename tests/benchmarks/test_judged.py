"""What the figures must show: met, missed and not measured are told apart."""

from pathlib import Path

import pytest

from benchmarks.boards import OnOff
from benchmarks.deaths import Death
from benchmarks.judged import Judged, beside, judged, table
from benchmarks.pages import renew
from benchmarks.report import document, markdown
from benchmarks.results import Results
from benchmarks.shapes import Shape
from benchmarks.throughput import Creations, Load


def load(
    store: str, us: float = 100.0, alone: float = 6.0, rate: float = 6_000.0, memory: float = 90.0
) -> Load:
    return Load(
        name=store,
        store=store,
        processes=1,
        provider="HTTP",
        executions=10,
        steps_per_second=rate,
        cpu_us=us,
        store_cpu_us=20.0,
        alone_p50_ms=alone,
        alone_p99_ms=2 * alone,
        p50_ms=10.0,
        p99_ms=20.0,
        memory_mb=memory,
    )


def made(store: str, rate: float) -> Creations:
    return Creations(store=store, driven=False, count=1, per_second=rate, cpu_us=1, store_cpu_us=1, p99_ms=1)


def death(completed: int = 200, repeated: int = 200, sent_twice: int = 0, seconds: float = 12.9) -> Death:
    return Death(
        store="always",
        executions=200,
        completed=completed,
        called_at_kill=800,
        repeated=repeated,
        sent_twice=sent_twice,
        lease=10.0,
        ready=1.0,
        seconds=seconds,
    )


def shape(size: int, slope: float | None) -> Shape:
    return Shape(size=size, executions=1, per_second=1.0, each_us=100.0, slope_us=slope)


def results(**changed: object) -> Results:
    found: dict[str, object] = {
        "machine": "this one",
        "seconds": 2.0,
        "loads": (load("everysec"), load("always")),
        "bare": (load("everysec", 40.0, 3.0), load("always", 40.0, 3.0)),
        "creations": (made("everysec", 9_000.0), made("always", 6_000.0), made("sqlite", 10.0)),
        "lengths": (shape(1, None), shape(10, 400.0), shape(100, 100.0), shape(1_000, 119.0)),
        "deaths": (death(),),
        "on_off": (OnOff(what="breakers", executions=1, on_us=114.0, off_us=100.0),),
    }
    return Results(**(found | changed))  # type: ignore[arg-type]  # a table of what a case changes


def one(found: list[Judged], words: str) -> Judged:
    (only,) = [row for row in found if words in row.measure]
    return only


def test_all_bounds_are_met_by_these() -> None:
    rows = judged(results(), {"steps_always": 4.2, "best": "other"})
    assert [row.measure for row in rows if not row.met] == []
    assert one(rows, "append-only always, against other").measured == "4.2 x"
    assert one(rows, "creations").measured == "6,000"
    assert one(rows, "memory").aimed
    assert one(rows, "against the bare loop of the same").aimed is False


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"loads": (load("everysec"), load("always", 131.0))}, "bare loop of the same client"),
        ({"loads": (load("everysec", rate=5_400.0),)}, "append-only every second"),
        ({"loads": (load("everysec", alone=6.1),)}, "ten steps alone"),
        ({"loads": (load("everysec", memory=151.0),)}, "memory of all"),
        ({"creations": (made("everysec", 9_000.0), made("always", 4_999.0))}, "creations"),
        ({"lengths": (shape(10, 100.0), shape(100, 100.0), shape(1_000, 121.0))}, "linear"),
        ({"deaths": (death(completed=199),)}, "kill -9"),
        ({"deaths": (death(repeated=201),)}, "kill -9"),
        ({"deaths": (death(sent_twice=1),)}, "kill -9"),
        ({"deaths": (death(seconds=13.1),)}, "kill -9"),
        ({"on_off": (OnOff(what="breakers", executions=1, on_us=116.0, off_us=100.0),)}, "breakers"),
    ],
)
def test_what_falls_short_is_told(changed: dict[str, object], words: str) -> None:
    rows = judged(results(**changed), {"steps_always": 4.0, "best": "other"})
    assert [row.measure for row in rows if row.met is False] == [one(rows, words).measure]
    assert "**no**" in table(rows)


def test_what_was_not_measured_is_neither_met_nor_missed() -> None:
    rows = judged(Results(machine="this one", seconds=1.0))
    assert all(row.met is None for row in rows)
    assert table(rows).count("not measured") == len(rows)
    assert beside({"steps_always": 3.9, "best": "other"})[0].met is False


def test_a_run_too_short_to_count_time_claims_nothing() -> None:
    rows = judged(results(lengths=(shape(10, 0.0), shape(100, 1e-12))))
    assert one(rows, "linear").met is None
    assert one(judged(results(bare=(load("everysec", -20.0, 0.0),))), "same client").met is None


def test_the_report_has_every_row_and_the_document_every_figure() -> None:
    found = results()
    rows = judged(found)
    text = markdown(found, rows)
    assert text.startswith("this one; 2 s a repetition.")
    assert "| **everysec** | 6,000 | 100 + 20 | 2.00 x | 6.0 / 12.0 | 2.00 x | 10 / 20 | 90 |" in text
    assert "| 100 | 1 | 1 | 100 | 1.00 x | 100 |" in text
    assert all(row.measure in text for row in rows)
    assert b'"steps_per_second": 6000.0' in document(found, rows)


def test_a_section_of_a_page_is_renewed_and_the_rest_stays(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    other = "B\n<!-- peers: begin --><!-- peers: end -->\n"
    page.write_text(f"# A\n<!-- bench: begin -->\nold\n<!-- bench: end -->\n{other}")
    renew(page, "bench", "new\n")
    renew(page, "bench", "newer")
    assert page.read_text() == f"# A\n<!-- bench: begin -->\n\nnewer\n\n<!-- bench: end -->\n{other}"
    with pytest.raises(ValueError, match="no marks <!-- profile: begin -->"):
        renew(page, "profile", "lost")
