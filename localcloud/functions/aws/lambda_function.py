"""The demo on AWS Lambda. AWS fails `flakey-func` itself, on every call; its code is not at fault."""

from typing import Any

from localcloud.functions.work import Shop
from sidestep_function import on_lambda


def plain_buggy(event: Any, context: Any) -> None:
    """Fail by its own fault, without the wrapper."""
    raise ValueError("this function has a bug")


_SHOP = Shop("AWS")

FUNCTIONS = {
    "my-func": {"handler": on_lambda(_SHOP.my_func), "aliases": {"live": "1"}},
    "flakey-func": {"fault": "ServiceException"},
    "reserve-stock": on_lambda(_SHOP.reserve_stock),
    "charge-card": on_lambda(_SHOP.charge_card),
    "ship-order": on_lambda(_SHOP.ship_order),
    "release-stock": on_lambda(_SHOP.release_stock),
    "refund-card": on_lambda(_SHOP.refund_card),
    "price-line": on_lambda(_SHOP.price_line),
    "ask-approver": on_lambda(_SHOP.ask_approver),
    "start-report": on_lambda(_SHOP.start_report),
    "ask-report": on_lambda(_SHOP.ask_report),
    "slow-func": {"handler": on_lambda(_SHOP.slow_func), "timeoutSeconds": 90},
    "answer-later": on_lambda(_SHOP.answer_later),
    "buggy-func": on_lambda(_SHOP.buggy_func),
    "plain-buggy-func": plain_buggy,
    "echo-meta": on_lambda(_SHOP.echo_meta),
}
