"""Reserve stock, once for each idempotency key. The same work on every cloud.

The key and the effect are written in one transaction, to a database that every cloud reaches: a
second execution, wherever it runs, finds the first one's result and changes nothing. SQLite stands
for that database here (`STOCK_DB` names the file); the statements are ordinary SQL.
"""

import json
import os
import sqlite3
from contextlib import closing
from typing import Any

from sidestep_function import Call

_TABLES = """
CREATE TABLE IF NOT EXISTS stock (item TEXT PRIMARY KEY, quantity INTEGER NOT NULL CHECK (quantity >= 0));
CREATE TABLE IF NOT EXISTS reservation (key TEXT PRIMARY KEY, result TEXT NOT NULL);
INSERT OR IGNORE INTO stock VALUES ('book', 100);
"""


class OutOfStockError(Exception):
    """There is not enough left. Sidestep takes it for what it is: this function's own error."""


def reserve(payload: Any, call: Call) -> dict[str, Any]:
    """Take `quantity` of `item` from the stock, or return what the first execution returned."""
    if call.idempotency_key is None:
        raise ValueError("reserve needs an idempotency key")
    item, quantity = payload["item"], payload.get("quantity", 1)
    with closing(_open()) as database, database:
        database.execute("BEGIN IMMEDIATE")
        known = database.execute("SELECT result FROM reservation WHERE key = ?", (call.idempotency_key,))
        first = known.fetchone()
        if first is not None:
            result: dict[str, Any] = json.loads(first[0])
            return result | {"repeated": True}
        changed = database.execute(
            "UPDATE stock SET quantity = quantity - ? WHERE item = ? AND quantity >= ?",
            (quantity, item, quantity),
        )
        if changed.rowcount != 1:
            raise OutOfStockError(f"fewer than {quantity} of {item} are left")
        result = {"item": item, "quantity": quantity, "repeated": False}
        database.execute("INSERT INTO reservation VALUES (?, ?)", (call.idempotency_key, json.dumps(result)))
        return result


def _open() -> sqlite3.Connection:
    database = sqlite3.connect(os.environ.get("STOCK_DB", "stock.db"), isolation_level=None)
    database.executescript(_TABLES)
    return database
