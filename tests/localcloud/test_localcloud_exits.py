"""A function that would end its program ends itself: its cloud goes on."""

from pathlib import Path

import pytest

from localcloud.settings import AzureSettings
from tests.localcloud.calling import cloud_with, write

GCP = """
import sys
import functions_framework

@functions_framework.http
def exits(request):
    sys.exit(3)

@functions_framework.http
def interrupted(request):
    raise KeyboardInterrupt

@functions_framework.http
def works(request):
    return {"ok": True}
"""

AZURE = """
import sys
import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)

@app.route(route="exits")
def exits(req: func.HttpRequest) -> func.HttpResponse:
    sys.exit(3)

@app.route(route="interrupted")
def interrupted(req: func.HttpRequest) -> func.HttpResponse:
    raise KeyboardInterrupt

@app.route(route="exits-async")
async def exits_async(req: func.HttpRequest) -> func.HttpResponse:
    sys.exit(3)

@app.route(route="interrupted-async")
async def interrupted_async(req: func.HttpRequest) -> func.HttpResponse:
    raise KeyboardInterrupt

@app.route(route="works")
async def works(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("ok")
"""


@pytest.mark.parametrize("function", ["exits", "interrupted"])
async def test_a_gcp_function_that_ends_its_program_is_a_crash_of_its_instance(
    tmp_path: Path, function: str
) -> None:
    async with cloud_with(write(tmp_path, gcp=GCP)) as (cloud, caller):
        answer = await caller.call("GCP", function)
        assert (answer.status, answer.headers["X-Google-Status"]) == (500, "crash")
        assert "Sidestep-Error" not in answer.headers
        assert (await caller.call("GCP", "works")).status == 200
        crashed, worked = cloud.ledger.entries()
        assert (crashed.state, crashed.replied, worked.state) == ("raised", True, "completed")


@pytest.mark.parametrize("function", ["exits", "interrupted", "exits-async", "interrupted-async"])
async def test_an_azure_function_that_ends_its_program_is_an_empty_500(tmp_path: Path, function: str) -> None:
    settings = AzureSettings(timeout_seconds=5)
    async with cloud_with(write(tmp_path, azure=AZURE), azure=settings) as (cloud, caller):
        answer = await caller.call("AZURE", function)
        assert (answer.status, answer.body) == (500, b"")
        assert (await caller.call("AZURE", "works")).status == 200
        assert {run.state for run in cloud.ledger.entries()} == {"raised", "completed"}
