"""`python -m benchmarks [--seconds N] [--json]`: one table, in one run, with the machine that it ran on."""

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks import concurrent

STORES = ("bare", "memory", "sqlite")
NAMES = {
    "bare": "bare loop: the same client, no engine",
    "memory": "Sidestep, memory",
    "sqlite": "Sidestep, SQLite (synchronous=FULL)",
}
CONCURRENT = 10_000


@contextmanager
def endpoint(hold: float = 0.0) -> Iterator[int]:
    """The static endpoint's port, while it runs."""
    command = [sys.executable, "-m", "benchmarks.endpoint", str(hold)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.stdin.close()
            process.wait(10)


def measure(module: str, *args: object) -> dict[str, float]:
    """What one measuring process printed."""
    command = [sys.executable, "-m", f"benchmarks.{module}", *map(str, args)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=200)
    measured: dict[str, float] = json.loads(done.stdout)
    return measured


def machine() -> str:
    """The machine, in a line."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line for line in cpuinfo.read_text(encoding="utf-8").splitlines() if "model name" in line]
        model = names[0].partition(":")[2].strip() if names else model
    return f"{os.cpu_count()} x {model}, Python {platform.python_version()}, {platform.system()}"


def main() -> int:
    """Measure everything and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--seconds", type=float, default=8.0, help="how long each throughput run lasts")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    chosen = parser.parse_args()
    lines: dict[str, dict[str, float]] = {}
    with endpoint() as port:
        for store in STORES:
            print(f"measuring {NAMES[store]} ...", file=sys.stderr)
            lines[store] = measure("line", store, port, chosen.seconds)
    print(f"measuring {CONCURRENT:,} executions at once ...", file=sys.stderr)
    many = concurrent.measure("sqlite", CONCURRENT)
    result: dict[str, Any] = {"machine": machine(), "line": lines, "concurrent": many}
    print(json.dumps(result, indent=2) if chosen.json else table(result))
    return 0


def table(result: dict[str, Any]) -> str:
    """The result as Markdown."""
    bare = result["line"]["bare"]
    rows = [
        f"Machine: {result['machine']}. Ten HTTP steps to a static loopback endpoint, 64 in flight.",
        "",
        "| | steps/s | CPU ms a step | against the bare loop | alone p50 / p99 ms | peak RSS MB |",
        "|---|---|---|---|---|---|",
    ]
    rows += [
        f"| {NAMES[store]} | {line['steps_per_second']:,.0f} | {line['cpu_ms_per_step']:.3f} "
        f"| {line['cpu_ms_per_step'] / bare['cpu_ms_per_step']:.2f} x CPU "
        f"| {line['alone_p50_ms']:.1f} / {line['alone_p99_ms']:.1f} | {line['peak_rss_mb']:.0f} |"
        for store, line in result["line"].items()
    ]
    many = result["concurrent"]
    rows += [
        "",
        (
            f"{many['executions']:,.0f} executions at once, each with a call under way, on SQLite: "
            f"{many['peak_mb']:.0f} MB resident ({many['kib_each']:.1f} KiB each over "
            f"{many['before_mb']:.0f} MB)."
        ),
    ]
    return "\n".join(rows)


if __name__ == "__main__":
    sys.exit(main())
