"""The three vendors' wire protocols on loopback, with outages on demand and a ledger of what ran.

`app` assembles one local cloud: a server each for AWS Lambda, Google Cloud Functions and Azure
Functions (`aws`, `gcp`, `azure`) and a control server (`control`, called through `client`).
`wire` carries every request through the active `outages` and tells the `ledger` whether the
caller could have seen the reply; `executor` runs the functions that `loading` found.
It knows nothing of Sidestep's engine: what it proves, it proves at the wire.
"""
