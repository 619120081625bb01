"""Rehearsals: what a bad day brings and what an operator does about it, for real, on this machine, measured.

| module | |
|---|---|
| `containers` | `python -m rehearsals.containers`: the compose file, broken under load |
| `engine` | what that needs of Docker |
| `reading` | waiting for an API and for executions to end, and reading them all |
| `two_regions` | `python -m rehearsals.two_regions`: the first region dies, the second takes over |
| `regions` | a region's processes, and the promotion of its replica |
| `step_language` | `python -m rehearsals.step_language`: every kind of step, killed and compared |
| `machines` | the machines that are killed there |
| `killing` | what kills them, compares them and audits the clouds' ledger |
| `losses` | what the dead region's list of acknowledgements says against the second region's store |

The load, the orders and the audit are the chaos suite's. Everything that is started has ended when a
rehearsal returns.
"""
