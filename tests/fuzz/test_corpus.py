"""What fuzzing kept: each input again, which raises nothing but documented errors, and ends soon."""

import time
from pathlib import Path
from random import Random

import pytest

from tests.fuzz.mutating import ODD, mutate
from tests.fuzz.targets import JSON, TARGETS

CORPUS = Path(__file__).parent / "corpus"

SOON = 10.0
"""Seconds of CPU for one input: far more than the slowest takes, on a machine that is busy as well."""


@pytest.mark.parametrize("name", TARGETS)
def test_every_kept_input_is_taken_or_refused_soon(name: str) -> None:
    inputs = sorted((CORPUS / name).iterdir())
    assert inputs
    for path in inputs:
        begun = time.process_time()
        TARGETS[name](path.read_bytes())
        assert time.process_time() - begun < SOON, path.name


@pytest.mark.parametrize("name", sorted(JSON))
def test_kept_inputs_changed_at_random_are_taken_or_refused(name: str) -> None:
    random = Random(5)  # noqa: S311 - the same changes each time
    for path in sorted((CORPUS / name).iterdir()):
        for _ in range(3):
            TARGETS[name](mutate(path.read_bytes(), random, ODD, 8_192))


def test_the_corpus_stays_small() -> None:
    files = [path for path in CORPUS.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 300 * 1024
