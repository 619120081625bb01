"""Fuzz one target after the other: `python -m tests.fuzz --seconds 180 [--target NAME] [--keep]`.

Guided by coverage with atheris where that is installed; elsewhere the corpus is changed at random. What was
found is left in `.fuzz/NAME/`; inputs that reach new code are put into `tests/fuzz/corpus/` with `--keep`.
"""

import argparse
import importlib
import importlib.util
import json
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any, Final

CORPUS: Final = Path(__file__).parent / "corpus"
WORK: Final = Path(".fuzz")
LONGEST: Final = 8_192
STATS: Final = ("-verbosity=0", "-print_final_stats=1")
KEPT: Final = 48 * 1024
"""Bytes of a target's corpus that the repository keeps."""

# What is instrumented has to be imported by atheris, hence within functions here.


def main() -> int:
    """Fuzz what the command line names; 1 where something was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=180, help="for each target")
    parser.add_argument("--target", action="append", help="only these")
    parser.add_argument("--keep", action="store_true", help="add to the corpus what reaches new code")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--one", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        return _guided(options.one[0], options.one[1:])
    from tests.fuzz.targets import TARGETS

    found = False
    for name in options.target or TARGETS:
        guided = importlib.util.find_spec("atheris") is not None
        print(f"{name}: {options.seconds} s {'guided by coverage' if guided else 'at random'}", flush=True)
        if guided:
            found |= _apart(name, options.seconds, options.seed, keep=options.keep)
        else:
            found |= _at_random(name, options.seconds, options.seed)
    return 1 if found else 0


def _apart(name: str, seconds: int, seed: int, *, keep: bool) -> bool:
    """Run libFuzzer in a process of its own: it ends that. Whether it found something."""
    work = WORK / name
    grown = work / "grown"
    grown.mkdir(parents=True, exist_ok=True)
    known = CORPUS / name
    command = [sys.executable, "-m", "tests.fuzz", "--one", name]
    shared = [f"-max_len={LONGEST}", "-timeout=20", "-rss_limit_mb=2048", f"-artifact_prefix={work}/"]
    ended = subprocess.run(
        [*command, str(grown), str(known), f"-max_total_time={seconds}", f"-seed={seed}", *shared, *STATS],
        check=False,
    )
    if keep and ended.returncode == 0:
        merged = work / "merged"
        shutil.rmtree(merged, ignore_errors=True)
        merged.mkdir()
        subprocess.run(
            [*command, "-merge=1", str(merged), str(known), str(grown), *shared, "-verbosity=0"], check=True
        )
        _keep(merged, known)
    return ended.returncode != 0


def _keep(merged: Path, known: Path) -> None:
    """Add as many inputs as there is room for, of all sizes: their names are hashes of what they hold."""
    room = KEPT - sum(path.stat().st_size for path in known.iterdir())
    have = {path.read_bytes() for path in known.iterdir()}
    for path in sorted(merged.iterdir()):
        data = path.read_bytes()
        if data in have or len(data) > room:
            continue
        room -= len(data)
        (known / path.name[:16]).write_bytes(data)


def _guided(name: str, arguments: Sequence[str]) -> int:
    atheris: Any = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["core"]):
        from tests.fuzz.mutating import mutate
        from tests.fuzz.targets import JSON, TARGETS
    run = TARGETS[name]
    pool = _pool(name)

    def changed(data: bytes, max_size: int, seed: int) -> bytes:
        random = Random(seed)  # noqa: S311 - a fuzzer's own
        if name in JSON and random.random() < 0.8:
            return mutate(data, random, pool, max_size)
        made: bytes = atheris.Mutate(data, max_size)
        return made

    # Coverage is counted within core only; this function is where inputs come in.
    atheris.Setup([_again(name), *arguments], run, custom_mutator=changed)
    atheris.Fuzz()
    return 0  # pragma: no cover - Fuzz ends the process


def _again(name: str) -> str:
    """A program that is this one: a merge starts itself again, after an input that ends it."""
    script = (WORK / name / "again").absolute()
    script.parent.mkdir(parents=True, exist_ok=True)
    command = shlex.join([sys.executable, "-m", "tests.fuzz", "--one", name])
    script.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    script.chmod(0o700)
    return str(script)


def _pool(name: str) -> list[Any]:
    from tests.fuzz.mutating import ODD, values

    pool = list(ODD)
    for path in sorted((CORPUS / name).iterdir()):
        try:
            pool += values(json.loads(path.read_bytes()))
        except (ValueError, RecursionError):
            continue
    return pool


def _at_random(name: str, seconds: int, seed: int) -> bool:
    from tests.fuzz.mutating import mutate, scramble
    from tests.fuzz.targets import JSON, TARGETS

    random = Random(seed)  # noqa: S311 - a fuzzer's own
    inputs = [path.read_bytes() for path in sorted((CORPUS / name).iterdir())]
    pool = _pool(name)
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        data = random.choice(inputs)
        data = mutate(data, random, pool, LONGEST) if name in JSON else scramble(data, random)[:LONGEST]
        try:
            TARGETS[name](data)
        except Exception as finding:  # noqa: BLE001 - whatever it is, the input is kept and told
            (WORK / name).mkdir(parents=True, exist_ok=True)
            path = WORK / name / f"crash-{random.randrange(1 << 64):016x}"
            path.write_bytes(data)
            print(f"{path}: {type(finding).__name__}: {finding}", flush=True)
            return True
    return False


if __name__ == "__main__":
    sys.exit(main())
