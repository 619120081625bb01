"""The demo on Google Cloud Functions."""

from typing import Any

import functions_framework

from localcloud.functions.work import Shop
from sidestep_function import on_google

_SHOP = Shop("GCP")

my_func = functions_framework.http(on_google(_SHOP.my_func))
flakey_func = functions_framework.http(on_google(_SHOP.flakey_func))
reserve_stock = functions_framework.http(on_google(_SHOP.reserve_stock))
charge_card = functions_framework.http(on_google(_SHOP.charge_card))
ship_order = functions_framework.http(on_google(_SHOP.ship_order))
release_stock = functions_framework.http(on_google(_SHOP.release_stock))
refund_card = functions_framework.http(on_google(_SHOP.refund_card))
price_line = functions_framework.http(on_google(_SHOP.price_line))
ask_approver = functions_framework.http(on_google(_SHOP.ask_approver))
start_report = functions_framework.http(on_google(_SHOP.start_report))
ask_report = functions_framework.http(on_google(_SHOP.ask_report))
slow_func = functions_framework.http(on_google(_SHOP.slow_func))
buggy_func = functions_framework.http(on_google(_SHOP.buggy_func))
long_job = functions_framework.http(on_google(_SHOP.long_job, _SHOP.job_status))
answer_later = functions_framework.http(on_google(_SHOP.answer_later))
echo_meta = functions_framework.http(on_google(_SHOP.echo_meta))


@functions_framework.http
def plain_buggy_func(request: Any) -> str:
    """Fail by its own fault, without the wrapper."""
    raise ValueError("this function has a bug")
