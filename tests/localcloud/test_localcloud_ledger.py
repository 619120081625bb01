"""What the ledger promises: exact counts, bounded memory, one word per fact."""

import threading
from collections.abc import Iterable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from localcloud.ledger import Ledger, Run
from localcloud.metadata import Metadata, read


def begin(ledger: Ledger, provider: str = "AWS", function: str = "f", key: str | None = "k") -> Run:
    return ledger.begin(provider, "r", function, Metadata(key, 1, None))


def twice(ledger: Ledger) -> dict[str, Any]:
    answer: dict[str, Any] = ledger.summary()["runTwice"]
    return answer


def test_a_key_that_ran_at_two_providers_ran_twice() -> None:
    ledger = Ledger()
    begin(ledger, "AWS")
    assert twice(ledger) == {"keys": 0, "extraExecutions": 0, "listed": []}
    begin(ledger, "GCP")
    begin(ledger, "GCP")
    begin(ledger, key="other")
    assert twice(ledger) == {
        "keys": 1,
        "extraExecutions": 2,
        "listed": [{"idempotencyKey": "k", "executions": 3, "providers": {"AWS": 1, "GCP": 2}}],
    }


def test_a_refused_start_is_no_execution() -> None:
    ledger = Ledger()
    ledger.finish(begin(ledger), "completed")
    late = begin(ledger, "GCP")
    ledger.finish(late, "refused")
    assert twice(ledger)["keys"] == 0
    assert ledger.summary()["executions"] == 1
    begin(ledger, "AZURE")
    assert twice(ledger)["listed"][0]["providers"] == {"AWS": 1, "AZURE": 1}


def test_executions_without_a_key_are_counted_apart() -> None:
    ledger = Ledger()
    begin(ledger, key=None)
    begin(ledger, key=None)
    summary = ledger.summary()
    assert (summary["withoutKey"], summary["keys"], summary["runTwice"]["keys"]) == (2, 0, 0)


def test_tallies_stay_exact_when_entries_are_dropped() -> None:
    ledger = Ledger(max_entries=10)
    for number in range(100):
        ledger.finish(begin(ledger, key=f"k{number % 60}"), "completed")
    summary = ledger.summary()
    assert len(ledger.entries(limit=1000)) == 10
    assert (summary["executions"], summary["droppedEntries"], summary["exact"]) == (100, 90, True)
    assert (summary["runTwice"]["keys"], summary["runTwice"]["extraExecutions"]) == (40, 40)
    assert summary["providers"]["AWS"]["functions"]["f"] == {"executions": 100, "completed": 100}


def test_beyond_its_keys_the_ledger_says_that_it_is_not_exact() -> None:
    ledger = Ledger(max_keys=2)
    for key in ("a", "b", "c"):
        begin(ledger, key=key)
    assert ledger.summary()["exact"] is False
    begin(ledger, key="a")
    assert twice(ledger)["keys"] == 1


def test_the_first_word_on_an_end_and_on_a_reply_stands() -> None:
    ledger = Ledger()
    run = begin(ledger)
    ledger.finish(run, "abandoned")
    ledger.finish(run, "completed")
    ledger.settle(run, replied=False)
    ledger.settle(run, replied=True)
    assert (run.state, run.replied) == ("abandoned", False)


def test_what_runs_while_the_ledger_is_cleared_counts_no_more() -> None:
    ledger = Ledger()
    old = begin(ledger)
    ledger.clear()
    ledger.finish(old, "refused")
    assert ledger.summary()["executions"] == 0
    new = begin(ledger)
    assert new.sequence > old.sequence
    assert ledger.summary()["executions"] == 1


def test_pages_are_in_order_and_filters_hold() -> None:
    ledger = Ledger(max_entries=50)
    for number in range(80):
        begin(ledger, "AWS" if number % 2 else "GCP", f"f{number % 3}", f"k{number}")
    seen: list[int] = []
    after = 0
    while page := ledger.entries(after=after, limit=7):
        seen += [run.sequence for run in page]
        after = page[-1].sequence
    assert seen == list(range(31, 81))
    assert [run.sequence for run in ledger.entries(key="k79")] == [80]
    assert {run.provider for run in ledger.entries(provider="AWS")} == {"AWS"}
    assert all(run.function == "f1" for run in ledger.entries(function="f1", limit=1000))
    assert ledger.entries(limit=0) == []
    assert ledger.entries(after=10_000) == []


def test_abandoning_ends_what_still_runs() -> None:
    ledger = Ledger()
    done, open_ = begin(ledger, key="a"), begin(ledger, key="b")
    ledger.finish(done, "completed")
    ledger.abandon_running()
    assert (done.state, open_.state, open_.replied) == ("completed", "abandoned", False)


def test_many_threads_lose_no_count() -> None:
    ledger = Ledger(max_entries=100)

    def work(name: int) -> None:
        for number in range(500):
            ledger.finish(begin(ledger, key=f"{name % 4}-{number}"), "completed")

    threads = [threading.Thread(target=work, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    summary = ledger.summary()
    assert (summary["executions"], summary["runTwice"]["keys"]) == (4_000, 2_000)


@given(
    st.lists(st.tuples(st.sampled_from(["AWS", "GCP"]), st.sampled_from("abc"), st.booleans()), max_size=30)
)
def test_run_twice_is_what_counting_by_hand_finds(history: list[tuple[str, str, bool]]) -> None:
    ledger = Ledger(max_entries=3)
    counts: dict[str, int] = {}
    for provider, key, refused in history:
        run = begin(ledger, provider, key=key)
        counts[key] = counts.get(key, 0) + (0 if refused else 1)
        ledger.finish(run, "refused" if refused else "completed")
    doubled = {key: count for key, count in counts.items() if count > 1}
    assert {item["idempotencyKey"]: item["executions"] for item in twice(ledger)["listed"]} == doubled
    assert ledger.summary()["executions"] == sum(counts.values())


def test_metadata_that_makes_no_sense_is_none() -> None:
    def numbers(values: Iterable[object]) -> list[int | None]:
        return [read({"sidestep-attempt": value}).attempt for value in values]

    assert numbers(["3", "-1", "", "x", "1" * 30, "\u0663", 3, None]) == [3] + [None] * 7
    assert read({"idempotency-key": 7}) == Metadata()
    assert read({"idempotency-key": "x" * 600}).key == "x" * 512
