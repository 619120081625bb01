"""The front end for the Amazon States Language: `{StartAt, States}`. docs/reference/states-language.md.

`machine` reads the document scope by scope, `states` one state of each simple type, `choices`, `tasks`,
`resources` (what a task calls), `maps` and `policies` (retry, catch) the larger parts; `flows` reads what all
say about data, and `state` holds what they share. `checks` looks at paths and expressions.
"""
