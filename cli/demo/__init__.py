"""The demo: a stream of orders, clouds that go dark under it, and an audit of what became of each order.

`script` says what happens when, `children` runs localcloud and the server, `load` sends orders, `board`
holds what is known, `screen` and `plain` show it, `audit` compares the journals with the ledgers.
"""
