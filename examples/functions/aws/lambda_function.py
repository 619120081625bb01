"""AWS Lambda. Deploy it with `sidestep_function.py` and `stock.py` beside it.

The handler of the function `reserve-stock` is `lambda_function.reserve_stock_handler`.
"""

from stock import reserve

from sidestep_function import on_lambda

reserve_stock_handler = on_lambda(reserve)
