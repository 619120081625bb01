"""Google Cloud Functions. Deploy it with `sidestep_function.py` and `stock.py` beside it.

The entry point of the function `reserve-stock` is `reserve_stock`.
"""

import functions_framework
from stock import reserve

from sidestep_function import on_google

reserve_stock = functions_framework.http(on_google(reserve))
