"""`make bench-peers PEERS=DIR`: other engines and ours, side by side, by a harness that is not part of this
project.

`python -m benchmarks.peers DIR [--engines "sidestep-always sidestep-everysec restate"] [--json FILE]
[--docs FILE]`. `DIR` holds `bench.py`, which is run as `bench.py ENGINE ... --reps N --secs S` and leaves
`$PEERS_HOME/run/results/ENGINE.json`, each with the medians `p50`, `p99` (ms, one execution alone),
`steps_s`, `cpu_ms_step` and `peak_mb` (64 in flight), and `recovery` where the engine is durable. It is given
`SIDESTEP`, our command. Engines whose names begin with `sidestep` are ours.
"""

import argparse
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.children import Failed, machine
from benchmarks.judged import beside, table
from benchmarks.pages import renew
from benchmarks.report import lines
from benchmarks.results import as_ratio, share

OURS: Final = "sidestep"
ENGINES: Final = "sidestep-always sidestep-everysec restate"
ENGINE_SECONDS: Final = 600.0
"""How long one engine may take, at most."""

_STDERR: Final = 2
"""What the harness prints is no part of what we print."""

Engine = dict[str, Any]


def run(
    folder: Path, home: Path, engines: Sequence[str], seconds: float, repetitions: int
) -> dict[str, Engine]:
    """Have the harness measure these engines; what it wrote, by engine. Raises Failed."""
    program = folder / "bench.py"
    if not program.is_file():
        raise Failed(f"{folder} holds no bench.py.")
    began = time.time()
    command = [sys.executable, str(program), *engines, "--reps", str(repetitions), "--secs", f"{seconds:g}"]
    environment = {
        **os.environ,
        "PEERS_HOME": str(home),
        "SIDESTEP": str(Path(sys.executable).with_name("sidestep")),
    }
    with subprocess.Popen(command, cwd=folder, env=environment, stdout=_STDERR) as process:
        try:
            process.wait(ENGINE_SECONDS * len(engines))
        except BaseException:
            # As Ctrl-C does: the harness ends the engines that it started.
            process.send_signal(signal.SIGINT)
            try:
                process.wait(60)
            finally:
                process.kill()
            raise
    if process.returncode:
        raise Failed(f"{program.name} ended with {process.returncode}.")
    return {name: _read(home / "run" / "results" / f"{name}.json", began) for name in engines}


def _read(file: Path, began: float) -> Engine:
    try:
        # A second of grace: file systems round.
        if file.stat().st_mtime < began - 1:
            raise Failed(f"{file.name} is from an earlier run.")
        read: object = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as problem:
        raise Failed(f"{file.name} cannot be read: {problem}.") from None
    found: Engine = read if isinstance(read, dict) else {}
    if "failed" in found or "median" not in found:
        raise Failed(f"{file.name} says that the engine could not be measured: {found.get('failed')}.")
    return found


def ratios(engines: Mapping[str, Engine]) -> dict[str, Any]:
    """Ours against the best of the others that is durable (the most steps a second): `best` names it."""
    others = {name: one for name, one in engines.items() if not name.startswith(OURS) and one.get("recovery")}
    if not others:
        return {"best": None}
    best = max(others, key=lambda name: float(others[name]["median"]["steps_s"]))
    theirs = others[best]["median"]
    found: dict[str, Any] = {"best": best}
    for name, one in engines.items():
        if name.startswith(OURS):
            kind = name.removeprefix(f"{OURS}-").replace("-", "_")
            found[f"steps_{kind}"] = share(one["median"]["steps_s"], theirs["steps_s"])
            found[f"cpu_{kind}"] = share(one["median"]["cpu_ms_step"], theirs["cpu_ms_step"])
            found[f"alone_{kind}"] = share(one["median"]["p50"], theirs["p50"])
    return found


def markdown(engines: Mapping[str, Engine], found: Mapping[str, Any], options: str) -> str:
    """The table, and what must be shown of it."""
    best = found["best"]
    theirs = engines[best]["median"] if best else None
    rows = []
    for name, one in sorted(engines.items(), key=lambda item: -float(item[1]["median"]["steps_s"])):
        median, death = one["median"], one.get("recovery")
        told = "-"
        if death:
            took = death["all_done_s_after_kill"]
            told = f"{death['completed_executions']} of {death['submitted']}, {death['re_executed_steps']}"
            told += f", {took:.1f}" if took is not None else ", not all"
        rows.append(
            (
                f"**{name}**" if name.startswith(OURS) else name,
                f"{median['p50']:.1f} / {median['p99']:.1f}",
                f"{median['steps_s']:,.0f}",
                as_ratio(share(median["steps_s"], theirs["steps_s"]) if theirs else None),
                f"{median['cpu_ms_step']:.3f}",
                as_ratio(share(median["cpu_ms_step"], theirs["cpu_ms_step"]) if theirs else None),
                f"{median['peak_mb']:.0f}",
                told,
            )
        )
    against = f"against {best}"
    head = ("engine", "alone p50 / p99 ms", "steps/s", against, "CPU ms a step", against, "peak PSS MB")
    parts = [f"{machine()}; {options}", lines((*head, "kill -9: completed, repeated steps, s"), rows)]
    return "\n\n".join([*parts, table(beside(found))])


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print. Exit code 0; 3 where the harness could not measure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("folder", type=Path, help="the harness")
    parser.add_argument("--engines", default=ENGINES, help=f"[{ENGINES}]")
    parser.add_argument(
        "--home",
        default=os.environ.get("PEERS_HOME", ".peers"),
        help="where its environments and results are [$PEERS_HOME, else .peers]",
    )
    parser.add_argument("--seconds", type=float, default=5.0, help="of a repetition [5]")
    parser.add_argument("--repetitions", type=int, default=3, help="[3]")
    parser.add_argument("--json", metavar="FILE", help="write everything into this file too")
    parser.add_argument("--docs", metavar="FILE", help="renew the table in this page too")
    given = parser.parse_args(arguments)
    home = Path(given.home).resolve()
    names = shlex.split(given.engines)
    try:
        engines = run(given.folder.resolve(), home, names, given.seconds, given.repetitions)
    except (Failed, subprocess.TimeoutExpired) as problem:
        sys.stderr.write(f"benchmarks.peers: {problem}\n")
        return 3
    found = ratios(engines)
    options = f"{given.seconds:g} s a repetition, medians of {given.repetitions}."
    text = markdown(engines, found, options)
    print(text)
    if given.json:
        whole = {"machine": machine(), "ratios": found, "engines": engines}
        Path(given.json).write_text(json.dumps(whole, indent=1) + "\n", "utf-8")
    if given.docs:
        renew(Path(given.docs), "peers", text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
