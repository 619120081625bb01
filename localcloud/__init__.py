"""The three vendors' wire protocols on loopback, with outages on demand and a ledger of what ran."""
