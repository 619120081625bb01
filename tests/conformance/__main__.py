"""`python -m tests.conformance --cases DIR`: run recorded cases, print the table and the misses."""

import argparse
import json
import sys
from pathlib import Path

from tests.conformance.cases import OWN, VARIABLE, read_cases, recorded
from tests.conformance.report import misses, page, short_of, table
from tests.conformance.running import run

REASONS = OWN / "reasons.json"


def main() -> int:
    """0 where every threshold is reached."""
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__)
    parser.add_argument(
        "--cases", type=Path, default=recorded(), help=f"a folder with cases.jsonl (default: {VARIABLE})"
    )
    parser.add_argument("--http", action="store_true", help="ask a server on loopback")
    parser.add_argument("--report", type=Path, help="write the page for people to this file")
    parser.add_argument("--only", default="", help="only cases whose id holds this")
    asked = parser.parse_args()
    if asked.cases is None:
        parser.error(f"name a folder with --cases, or in {VARIABLE}")
    cases = [case for case in read_cases(asked.cases) if asked.only in case["id"]]
    ran = run(cases, http=asked.http)
    for line in (*misses(ran), "", *table(ran)):
        sys.stdout.write(line + "\n")
    if asked.report is not None:
        reasons: dict[str, str] = json.loads(REASONS.read_text("utf-8"))
        asked.report.write_text(page(ran, reasons), "utf-8")
    short = short_of(ran)
    for line in short:
        sys.stderr.write(line + "\n")
    return 1 if short else 0


if __name__ == "__main__":
    sys.exit(main())
