"""Google's own libraries are the judge: google-auth, google-cloud-functions, functions-framework."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from google.api_core.exceptions import NotFound
from google.auth import crypt, jwt
from google.auth.exceptions import RefreshError
from google.auth.transport.requests import Request
from google.cloud.functions_v2 import Function, FunctionServiceClient
from google.oauth2 import id_token as google_id_token
from google.oauth2 import service_account

from localcloud.app import LocalCloud
from localcloud.client import ControlClient
from localcloud.settings import GcpSettings, LocalCloudSettings
from localcloud.tokens import Key
from tests.localcloud.calling import caller_of, cloud_with, id_token, write

SCOPES = ["https://www.googleapis.com/auth/cloud-platform"]
RESOURCE = "projects/localcloud/locations/us-central1/functions"


def key_file(cloud: LocalCloud) -> str:
    return cloud.environment()["SIDESTEP_PROVIDERS__GCP__CREDENTIALS_FILE"]


@pytest.mark.parametrize("version", ["v1", "v3"])
async def test_google_auth_verifies_the_tokens_that_it_got(localcloud: LocalCloud, version: str) -> None:
    base = localcloud.urls["GCP"]
    token = await asyncio.to_thread(id_token, localcloud, f"{base}/my-func")
    claims = await asyncio.to_thread(
        google_id_token.verify_token,
        token,
        Request(),
        audience=f"{base}/my-func",
        certs_url=f"{base}/oauth2/{version}/certs",
    )
    assert claims["email"] == "sidestep@localcloud.iam.gserviceaccount.com"
    assert claims["iss"] == "https://accounts.google.com"


def key_info(cloud: LocalCloud) -> dict[str, Any]:
    info: dict[str, Any] = json.loads(Path(key_file(cloud)).read_text())
    return info


def describe(cloud: LocalCloud, name: str, credentials: Any) -> Function:
    transport = FunctionServiceClient.get_transport_class("rest")(
        credentials=credentials, host=cloud.urls["GCP"].removeprefix("http://"), url_scheme="http"
    )
    try:
        return FunctionServiceClient(transport=transport).get_function(name=f"{RESOURCE}/{name}")
    finally:
        transport.close()  # type: ignore[no-untyped-call]  # has no annotations


@pytest.mark.parametrize("self_signed", [False, True])
async def test_google_cloud_functions_reads_the_uri(localcloud: LocalCloud, self_signed: bool) -> None:
    load: Any = service_account.Credentials.from_service_account_file  # has no annotations
    credentials = load(key_file(localcloud), scopes=SCOPES)
    if self_signed:
        credentials = credentials.with_always_use_jwt_access(True)
    function = await asyncio.to_thread(describe, localcloud, "my-func", credentials)
    assert function.service_config.uri == f"{localcloud.urls['GCP']}/my-func"
    assert function.state is Function.State.ACTIVE
    with pytest.raises(NotFound):
        await asyncio.to_thread(describe, localcloud, "nope", credentials)


async def test_the_management_api_wants_credentials(localcloud: LocalCloud) -> None:
    async with caller_of(localcloud) as caller:
        url = f"{localcloud.urls['GCP']}/v2/{RESOURCE}/my-func"
        async with caller.session.get(url) as response:
            assert response.status == 401
            assert (await response.json())["error"]["status"] == "UNAUTHENTICATED"


async def test_an_id_token_is_no_access_token(localcloud: LocalCloud) -> None:
    base = localcloud.urls["GCP"]
    token = await asyncio.to_thread(id_token, localcloud, base)
    async with caller_of(localcloud) as caller:
        headers = {"Authorization": f"Bearer {token}"}
        async with caller.session.get(f"{base}/v2/{RESOURCE}/my-func", headers=headers) as response:
            assert response.status == 401


async def test_a_function_runs_behind_its_token(localcloud: LocalCloud, control: ControlClient) -> None:
    async with caller_of(localcloud) as caller:
        answer = await caller.call("GCP", "echo-meta", key="k", attempt=2)
    assert answer.status == 200
    assert (answer.json["idempotencyKey"], answer.json["attempt"]) == ("k", 2)
    (run,) = await control.ledger()
    assert (run["provider"], run["region"], run["idempotencyKey"], run["attempt"], run["state"]) == (
        "GCP",
        "us-central1",
        "k",
        2,
        "completed",
    )
    assert run["replied"] is True


@pytest.mark.parametrize("audience", ["{base}", "{base}/my-func", "{base}/"])
async def test_a_token_is_good_for_the_functions_url_or_the_base(
    localcloud: LocalCloud, audience: str
) -> None:
    base = localcloud.urls["GCP"]
    token = await asyncio.to_thread(id_token, localcloud, audience.format(base=base))
    async with caller_of(localcloud) as caller:
        answer = await caller.post(f"{base}/my-func", b"{}", {"Authorization": f"Bearer {token}"})
    assert answer.status == 200


async def test_without_a_token_nobody_gets_in(localcloud: LocalCloud, control: ControlClient) -> None:
    async with caller_of(localcloud) as caller:
        answer = await caller.post(f"{localcloud.urls['GCP']}/my-func", b"{}")
    assert answer.status == 403
    assert answer.headers["Content-Type"].startswith("text/html")
    assert await control.ledger() == []


def forged(cloud: LocalCloud) -> str:
    now = int(time.time())
    claims = {"iss": "https://accounts.google.com", "aud": cloud.urls["GCP"], "iat": now, "exp": now + 600}
    return Key().sign(claims)


async def test_a_token_that_proves_nothing_is_a_401(localcloud: LocalCloud, control: ControlClient) -> None:
    base = localcloud.urls["GCP"]
    elsewhere = await asyncio.to_thread(id_token, localcloud, "https://elsewhere.example/my-func")
    other_function = await asyncio.to_thread(id_token, localcloud, f"{base}/charge-card")
    good = await asyncio.to_thread(id_token, localcloud, base)
    header, claims, signature = good.split(".")
    wrong = [elsewhere, other_function, forged(localcloud), "x", "a.b.c", f"{header}.{claims}.", "y" * 20_000]
    wrong.append(f"{header}.{claims}.{signature[:-6]}AAAAAA")
    async with caller_of(localcloud) as caller:
        for token in wrong:
            answer = await caller.post(f"{base}/my-func", b"{}", {"Authorization": f"Bearer {token}"[:8_000]})
            assert answer.status == 401, token[:20]
            assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]
        answer = await caller.post(f"{base}/my-func", b"{}", {"Authorization": f"Basic {good}"})
        assert answer.status == 401
    assert await control.ledger() == []


async def test_an_expired_token_is_a_401() -> None:
    settings = LocalCloudSettings(port=0, gcp=GcpSettings(token_seconds=-120.0))
    async with LocalCloud(settings) as cloud, caller_of(cloud) as caller:
        assert (await caller.call("GCP")).status == 401


async def test_the_token_endpoint_trusts_the_service_accounts_key_only(localcloud: LocalCloud) -> None:
    stranger = key_info(localcloud) | {"private_key": Key().private_pem}
    load: Any = service_account.IDTokenCredentials.from_service_account_info  # has no annotations
    credentials = load(stranger, target_audience="a")
    with pytest.raises(RefreshError, match="invalid_grant"):
        await asyncio.to_thread(credentials.refresh, Request())


def assertion(cloud: LocalCloud, **changes: Any) -> str:
    info = key_info(cloud)
    now = int(time.time())
    claims = {
        "iss": info["client_email"],
        "aud": info["token_uri"],
        "iat": now,
        "exp": now + 600,
        "target_audience": "https://x",
    }
    signer = crypt.RSASigner.from_service_account_info(info)  # type: ignore[no-untyped-call]  # google-auth has none
    return bytes(jwt.encode(signer, claims | changes)).decode()  # type: ignore[no-untyped-call]  # as above


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "someone@else"},
        {"aud": "https://elsewhere.example/token"},
        {"exp": 1},
        {"exp": "soon"},
        {"target_audience": 3},
        {"target_audience": "x" * 5_000},
    ],
)
async def test_an_assertion_with_a_wrong_claim_is_a_400(
    localcloud: LocalCloud, changes: dict[str, Any]
) -> None:
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "assertion": assertion(localcloud, **changes),
    }
    async with caller_of(localcloud) as caller:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        url = f"{localcloud.urls['GCP']}/token"
        assert (await caller.post(url, urlencode(form).encode(), headers)).status == 400
        good = form | {"assertion": assertion(localcloud)}
        assert (await caller.post(url, urlencode(good).encode(), headers)).status == 200
        for hostile in (b"", b"\xff=\xfe", b"grant_type=password", b"&".join([b"a=b"] * 50)):
            assert (await caller.post(url, hostile, headers)).status == 400


async def test_an_own_error_is_marked_and_a_plain_exception_is_a_crash(
    localcloud: LocalCloud, control: ControlClient
) -> None:
    async with caller_of(localcloud) as caller:
        marked = await caller.call("GCP", "buggy-func")
        plain = await caller.call("GCP", "plain-buggy-func")
    assert (marked.status, marked.headers["Sidestep-Error"]) == (500, "function")
    assert marked.json == {"errorType": "ValueError", "errorMessage": "this function has a bug"}
    # What functions-framework itself answers for an exception that nobody caught.
    assert (plain.status, plain.headers["X-Google-Status"]) == (500, "crash")
    assert [run["state"] for run in await control.ledger()] == ["raised", "raised"]


async def test_an_unknown_function_is_a_page(localcloud: LocalCloud) -> None:
    async with caller_of(localcloud) as caller:
        answer = await caller.call("GCP", "nope")
    assert (answer.status, answer.headers["Content-Type"]) == (404, "text/html; charset=UTF-8")


OWN = """
import threading
import flask
import functions_framework
never = threading.Event()

@functions_framework.http
def look_around(request):
    response = flask.jsonify(
        path=request.path, args=request.args, method=request.method, type=request.content_type,
        body=request.get_data(as_text=True), authorization=request.headers["Authorization"],
    )
    response.set_cookie("a", "1")
    response.set_cookie("b", "2")
    return response, 201

@functions_framework.http
def stuck(request):
    never.wait(0.4)
    return "late"

def not_deployed(request):
    return "never"
"""


async def test_a_function_of_ones_own_sees_the_whole_request(tmp_path: Path) -> None:
    async with cloud_with(write(tmp_path, gcp=OWN)) as (cloud, caller):
        base = cloud.urls["GCP"]
        token = await asyncio.to_thread(id_token, cloud, base)
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "text/x-test"}
        answer = await caller.post(f"{base}/look-around/deep/%C3%A9?x=1", "héllo".encode(), headers)
        assert answer.status == 201
        assert answer.json["path"] == "/deep/é"
        assert (answer.json["args"], answer.json["method"]) == ({"x": "1"}, "POST")
        assert (answer.json["type"], answer.json["body"]) == ("text/x-test", "héllo")
        # The function could not call others in the caller's name.
        assert answer.json["authorization"].endswith(".SIGNATURE_REMOVED_BY_GOOGLE")
        assert token.rpartition(".")[2] not in answer.json["authorization"]
        assert "not-deployed" not in cloud._fronts["GCP"].vendor.functions
        assert (await caller.call("GCP", "my-func")).status == 200  # the demo's are still there


async def test_both_cookies_of_a_function_arrive(tmp_path: Path) -> None:
    async with cloud_with(write(tmp_path, gcp=OWN)) as (_, caller):
        answer = await caller.call("GCP", "look-around")
        assert len(getattr(answer.headers, "getall")("Set-Cookie")) == 2  # noqa: B009 - Mapping has no getall


async def test_over_its_time_the_front_end_gives_up_and_the_container_runs_on(tmp_path: Path) -> None:
    settings = GcpSettings(timeout_seconds=0.05)
    async with cloud_with(write(tmp_path, gcp=OWN), gcp=settings) as (cloud, caller):
        answer = await caller.call("GCP", "stuck")
        assert (answer.status, answer.body) == (504, b"upstream request timeout")
        async with asyncio.timeout(5):
            while cloud.ledger.entries()[0].state == "running":
                await asyncio.sleep(0.005)
        (run,) = cloud.ledger.entries()
        assert (run.state, run.replied) == ("completed", False)
