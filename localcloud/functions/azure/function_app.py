"""The demo on Azure Functions."""

import azure.functions as func

from localcloud.functions.work import Shop
from sidestep_function import on_azure

app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)


def _register(shop: Shop) -> None:
    for route, work in {
        "my-func": shop.my_func,
        "flakey-func": shop.flakey_func,
        "reserve-stock": shop.reserve_stock,
        "charge-card": shop.charge_card,
        "ship-order": shop.ship_order,
        "release-stock": shop.release_stock,
        "refund-card": shop.refund_card,
        "price-line": shop.price_line,
        "ask-approver": shop.ask_approver,
        "start-report": shop.start_report,
        "ask-report": shop.ask_report,
        "slow-func": shop.slow_func,
        "answer-later": shop.answer_later,
        "buggy-func": shop.buggy_func,
        "echo-meta": shop.echo_meta,
    }.items():
        app.route(route=route, methods=["POST"])(on_azure(work))
    app.route(route="long-job", methods=["GET", "POST"])(on_azure(shop.long_job, shop.job_status))


_register(Shop("AZURE"))


@app.route(route="plain-buggy-func", methods=["POST"])
def plain_buggy_func(req: func.HttpRequest) -> func.HttpResponse:
    """Fail by its own fault, without the wrapper."""
    raise ValueError("this function has a bug")
