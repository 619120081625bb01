"""What this replica counted since it last told the others, by second and function."""

from core.engine.health.functions import FunctionWatch
from core.graph.model import Target
from core.ports.link import Tally

CALLS, FAILURES, FAULTS = 0, 1, 2
"""What is counted: the places in a row of counts."""

_Rows = dict[int, dict[FunctionWatch, list[int]]]


class Tallies:
    """Sums since the last `take`. A call that turns out to say nothing is taken off again."""

    def __init__(self) -> None:
        self._rows: _Rows = {}

    def add(self, function: FunctionWatch, sent_ms: int, what: int, amount: int = 1) -> None:
        """Count a call that was sent then."""
        second = sent_ms // 1000
        rows = self._rows.get(second)
        if rows is None:
            rows = self._rows[second] = {}
        row = rows.get(function)
        if row is None:
            row = rows[function] = [0, 0, 0]
        row[what] += amount

    def take(self, oldest: int) -> dict[int, dict[Target, Tally]]:
        """What was counted of the seconds from `oldest` on; counting begins anew."""
        rows, self._rows = self._rows, {}
        return {
            second: {
                function.target: Tally(calls=row[CALLS], failures=row[FAILURES], faults=row[FAULTS])
                for function, row in of_second.items()
                if any(row)
            }
            for second, of_second in rows.items()
            if second >= oldest
        }
