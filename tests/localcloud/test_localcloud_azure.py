"""A real `FunctionApp`, its routes, levels and keys."""

import asyncio
from pathlib import Path
from urllib.parse import urlencode

import jwt
import pytest

from localcloud.app import LocalCloud
from localcloud.azure.routes import Route, RouteError
from localcloud.client import ControlClient
from localcloud.settings import AzureSettings
from tests.localcloud.calling import Caller, caller_of, cloud_with, write

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


async def test_a_trigger_answers_whoever_has_the_key(localcloud: LocalCloud, control: ControlClient) -> None:
    async with caller_of(localcloud) as caller:
        answer = await caller.call("AZURE", "echo-meta", key="k", attempt=4)
    assert answer.status == 200
    assert (answer.json["idempotencyKey"], answer.json["attempt"]) == ("k", 4)
    (run,) = await control.ledger()
    assert (run["provider"], run["region"], run["function"]) == ("AZURE", "westeurope", "echo-meta")
    assert (run["idempotencyKey"], run["attempt"], run["state"], run["replied"]) == (
        "k",
        4,
        "completed",
        True,
    )


async def test_without_a_key_nobody_gets_in(localcloud: LocalCloud, control: ControlClient) -> None:
    url = f"{localcloud.urls['AZURE']}/api/my-func"
    async with caller_of(localcloud) as caller:
        for headers, query in (
            ({}, ""),
            ({"x-functions-key": "wrong"}, ""),
            ({}, "?code=wrong"),
            ({"x-functions-key": "\u00fc"}, ""),
            ({"Authorization": "Bearer x"}, ""),
        ):
            answer = await caller.post(url + query, b"{}", headers)
            assert (answer.status, answer.body) == (401, b"")
    assert await control.ledger() == []


async def test_the_key_may_come_in_the_query(localcloud: LocalCloud) -> None:
    key = localcloud.settings.azure.function_key
    async with caller_of(localcloud) as caller:
        url = f"{localcloud.urls['AZURE']}/api/my-func?code={key}"
        assert (await caller.post(url, b"{}")).status == 200


async def entra_token(caller: Caller, **changes: str) -> tuple[int, dict[str, str]]:
    azure = caller.cloud.settings.azure
    form = {
        "grant_type": "client_credentials",
        "client_id": azure.client_id,
        "client_secret": azure.client_secret,
        "scope": f"{azure.audience}/.default",
    }
    url = f"{caller.cloud.urls['AZURE']}/{azure.tenant}/oauth2/v2.0/token"
    answer = await caller.post(url, urlencode(form | changes).encode(), FORM)
    return answer.status, answer.json


async def test_an_entra_token_does_as_well_as_a_key(localcloud: LocalCloud) -> None:
    async with caller_of(localcloud) as caller:
        status, granted = await entra_token(caller)
        assert status == 200
        token = granted["access_token"]
        url = f"{localcloud.urls['AZURE']}/api/my-func"
        assert (await caller.post(url, b"{}", {"Authorization": f"Bearer {token}"})).status == 200
        keys = f"{localcloud.urls['AZURE']}/localcloud/discovery/v2.0/keys"
        signing = await asyncio.to_thread(lambda: jwt.PyJWKClient(keys).get_signing_key_from_jwt(token))
        claims = jwt.decode(token, signing, algorithms=["RS256"], audience="api://localcloud")
        assert claims["appid"] == "sidestep"


@pytest.mark.parametrize(
    ("changes", "status", "error"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"client_id": "stranger"}, 401, "invalid_client"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"scope": "https://elsewhere/.default"}, 400, "invalid_scope"),
    ],
)
async def test_entra_hands_no_token_to_strangers(
    localcloud: LocalCloud, changes: dict[str, str], status: int, error: str
) -> None:
    async with caller_of(localcloud) as caller:
        got, body = await entra_token(caller, **changes)
    assert (got, body["error"]) == (status, error)


async def test_googles_tokens_do_not_open_azure(localcloud: LocalCloud) -> None:
    async with caller_of(localcloud) as caller:
        await caller.call("GCP")
        headers = {"Authorization": f"Bearer {caller._token}"}
        assert (await caller.post(f"{localcloud.urls['AZURE']}/api/my-func", b"{}", headers)).status == 401


async def test_an_own_error_is_marked_and_a_plain_exception_is_an_empty_500(
    localcloud: LocalCloud, control: ControlClient
) -> None:
    async with caller_of(localcloud) as caller:
        marked = await caller.call("AZURE", "buggy-func")
        plain = await caller.call("AZURE", "plain-buggy-func")
    assert (marked.status, marked.headers["Sidestep-Error"]) == (500, "function")
    assert (plain.status, plain.body) == (500, b"")
    assert [run["state"] for run in await control.ledger()] == ["raised", "raised"]


async def test_unknown_routes_and_methods_are_a_404(localcloud: LocalCloud) -> None:
    base = localcloud.urls["AZURE"]
    async with caller_of(localcloud) as caller:
        for path in ("/api/nope", "/my-func", "/api", "/", "/apimy-func"):
            assert (await caller.post(f"{base}{path}", b"{}")).status == 404
        async with caller.session.get(f"{base}/api/my-func") as response:
            assert response.status == 404


OWN = """
import asyncio
import threading
import azure.functions as func

app = func.FunctionApp()
never = threading.Event()

@app.route(route="orders/{id:int}/{*rest}", methods=["GET", "POST"], auth_level=func.AuthLevel.ANONYMOUS)
def order(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    text = ",".join([req.method, req.route_params["id"], req.route_params.get("rest", "-"),
        req.params.get("x", "-"), context.function_name, req.get_body().decode()])
    return func.HttpResponse(text, status_code=202, headers={"X-Own": "1"})

@app.route(route="admin", auth_level=func.AuthLevel.ADMIN)
def admin(req: func.HttpRequest) -> str:
    return "welcome"

@app.route(route="keyed")
def keyed(req: func.HttpRequest) -> str:
    return "yes"

@app.function_name("waits")
@app.route()
async def waiting(req: func.HttpRequest) -> func.HttpResponse:
    await asyncio.sleep(0)
    return func.HttpResponse(asyncio.current_task().get_loop().__class__.__name__)

@app.route(route="nothing")
def nothing(req: func.HttpRequest) -> None:
    return None

@app.route(route="nonsense")
def nonsense(req: func.HttpRequest):
    return {"a": 1}

@app.route(route="stuck")
def stuck(req: func.HttpRequest) -> str:
    never.wait(0.4)
    return "late"

@app.timer_trigger(schedule="0 0 * * * *", arg_name="timer")
def hourly(timer: func.TimerRequest) -> None:
    pass
"""


async def test_a_function_of_ones_own_sees_the_whole_request(tmp_path: Path) -> None:
    async with cloud_with(write(tmp_path, azure=OWN)) as (cloud, caller):
        base = cloud.urls["AZURE"]
        answer = await caller.post(f"{base}/api/Orders/17/a/b%20c?x=y", b"body")
        assert answer.status == 202
        assert answer.body == b"POST,17,a/b c,y,order,body"
        assert (answer.headers["X-Own"], answer.headers["Content-Type"]) == ("1", "text/plain; charset=utf-8")
        assert (await caller.post(f"{base}/api/orders/17", b"")).body == b"POST,17,-,-,order,"
        assert (await caller.post(f"{base}/api/orders/seventeen", b"")).status == 404
        assert [run.function for run in cloud.ledger.entries()] == ["order", "order"]


async def test_levels_decide_which_key_opens(tmp_path: Path) -> None:
    settings = AzureSettings(function_keys={"keyed": "its-own"})
    async with cloud_with(write(tmp_path, azure=OWN), azure=settings) as (cloud, caller):
        base = cloud.urls["AZURE"]

        async def status(route: str, key: str) -> int:
            return (await caller.post(f"{base}/api/{route}", b"", {"x-functions-key": key})).status

        assert await status("admin", settings.function_key) == 401
        assert await status("admin", settings.master_key) == 200
        assert await status("keyed", "its-own") == 200
        assert await status("waits", "its-own") == 401
        assert await status("keyed", settings.master_key) == 200


async def test_coroutines_and_odd_results(tmp_path: Path) -> None:
    async with cloud_with(write(tmp_path, azure=OWN)) as (_, caller):
        waited = await caller.call("AZURE", "waits")
        assert waited.status == 200
        assert waited.body.endswith(b"EventLoop")
        assert (await caller.call("AZURE", "nothing")).status == 204
        assert (await caller.call("AZURE", "nonsense")).status == 500


async def test_over_its_time_the_front_end_gives_up(tmp_path: Path) -> None:
    settings = AzureSettings(timeout_seconds=0.05)
    async with cloud_with(write(tmp_path, azure=OWN), azure=settings) as (cloud, caller):
        assert (await caller.call("AZURE", "stuck")).status == 504
        (run,) = cloud.ledger.entries()
        assert run.replied is False


@pytest.mark.parametrize(
    ("template", "path", "expected"),
    [
        ("a/b", "/a/b", {}),
        ("a/b", "/A/B", {}),
        ("a/b", "/a", None),
        ("a/{x}", "/a/1", {"x": "1"}),
        ("a/{x?}", "/a", {}),
        ("a/{x:int?}", "/a/-3", {"x": "-3"}),
        ("a/{x:int}", "/a/b", None),
        ("{x:guid}", "/12345678-1234-1234-1234-123456789abc", {"x": "12345678-1234-1234-1234-123456789abc"}),
        ("f/{*rest}", "/f/a/b", {"rest": "a/b"}),
        ("f.x", "/fyx", None),
    ],
)
def test_routes_match_as_templates_say(template: str, path: str, expected: dict[str, str] | None) -> None:
    assert Route(template).match(path) == expected


@pytest.mark.parametrize("template", ["a{x}b", "{x:regex}", "{"])
def test_a_template_beyond_these_is_refused_when_it_is_loaded(template: str) -> None:
    with pytest.raises(RouteError):
        Route(template)
