"""The Redis host: a client that shares connections among all callers of an event loop, and the store on it.

`client` is what the store talks to; `line` is one shared connection, `topology` finds the primaries behind a
URL, `replies` turns errors of Redis into ours. The store's acts are Lua scripts, in `scripts/`.
"""
