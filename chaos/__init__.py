"""The chaos suite: `python -m chaos` breaks things under load, and audits journals against ledgers after.

| module | |
|---|---|
| `rows` | the rows of the table of promises, and what is done to each |
| `plan` | the faults as a pure function of row, seed and length |
| `orders` | the executions: five steps of mixed effects over four providers |
| `programs` | the processes of Sidestep and of the clouds, ended by their own ids |
| `hosts` | the store under a row: a SQLite file, one Redis, Sentinel, a Cluster |
| `load` | the client: a steady rate, a key for each request, and the list of what was acknowledged |
| `faults` | doing what the plan says |
| `playing` | one row from its first process to its audit |
| `reading` | the executions, as the API tells them |
| `audit` | what became of every acknowledged execution, and how long the pauses were |
| `report` | the table, as Markdown and as JSON |

It runs on loopback. Every process that it starts has ended when it returns.
"""
