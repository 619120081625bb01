"""Azure Functions. Deploy it with `sidestep_function.py` and `stock.py` beside it."""

import azure.functions as func
from stock import reserve

from sidestep_function import Call, on_azure

app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)

app.route(route="reserve-stock", methods=["POST"])(on_azure(reserve))


@app.route(route="time-left", methods=["POST"])
@on_azure
async def time_left(_payload: object, call: Call) -> dict[str, float | None]:
    """A coroutine that asks how long its caller still waits, before it begins something slow."""
    return {"seconds": call.remaining_seconds()}
