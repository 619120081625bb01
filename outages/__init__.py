"""The outage matrix: `python -m outages` plays every outage of the catalogue against the real server.

| module | |
|---|---|
| `cases` | what a case is: which clouds fail how and when, what else happens, what must hold |
| `catalogue`, `rows`, `days` | all of them: outages, a case for each row of errors, healthy days, replays |
| `orders` | the executions: four workflows of three steps |
| `stage`, `links` | the processes of one case, each fresh; connections that can be cut |
| `playing` | one case on the wire, from its first process to its figures |
| `seen` | what journals, ledgers and events say, in the shape that the simulator gives too |
| `figures` | what is reported of a case, counted in the same way for every strategy |
| `promises` | what must hold, and which promise was broken |
| `simulator`, `clouds`, `strategies`, `ours` | the same in virtual time, for the baselines and for Sidestep |
| `kept`, `report` | finished cases in a folder, so that a run can be resumed; the table |

It runs on loopback. Every process that it starts has ended when it returns.
"""
