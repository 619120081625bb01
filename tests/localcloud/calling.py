"""Callers of a local cloud: the vendors' own clients, and one that calls every provider alike."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple, assert_never

import aiohttp
import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from google.auth.transport.requests import Request
from google.oauth2 import service_account
from mypy_boto3_lambda import LambdaClient

from localcloud.app import LocalCloud
from localcloud.settings import LocalCloudSettings
from localcloud.vendor import ProviderName

REGION = "us-east-1"


class Answer(NamedTuple):
    """An HTTP answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def lambda_client(cloud: LocalCloud, **changes: Any) -> LambdaClient:
    """Boto3 as it is, but for its retries; `changes` replace a credential."""
    own = cloud.settings.aws.credentials[0]
    options: dict[str, Any] = {
        "aws_access_key_id": own.access_key_id,
        "aws_secret_access_key": own.secret_access_key,
        **changes,
    }
    return boto3.client(
        "lambda",
        endpoint_url=cloud.urls["AWS"],
        region_name=REGION,
        config=Config(retries={"total_max_attempts": 1}, read_timeout=5, connect_timeout=5),
        **options,
    )


def client_context(custom: Mapping[str, str]) -> str:
    return base64.b64encode(json.dumps({"custom": dict(custom)}).encode()).decode()


def signed(
    cloud: LocalCloud, url: str, body: bytes, headers: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The headers of a POST signed by botocore."""
    own = cloud.settings.aws.credentials[0]
    request = AWSRequest("POST", url, data=body, headers=dict(headers or {}))
    SigV4Auth(Credentials(own.access_key_id, own.secret_access_key), "lambda", REGION).add_auth(request)
    return dict(request.headers.items())


def id_token(cloud: LocalCloud, audience: str) -> str:
    """An ID token for an audience, fetched by google-auth; call it in a thread."""
    path = cloud.environment()["SIDESTEP_PROVIDERS__GCP__CREDENTIALS_FILE"]
    load: Any = service_account.IDTokenCredentials.from_service_account_file  # has no annotations
    credentials = load(path, target_audience=audience)
    credentials.refresh(Request())
    return str(credentials.token)


class Caller:
    """Calls a function of any provider with valid credentials."""

    def __init__(self, cloud: LocalCloud, session: aiohttp.ClientSession) -> None:
        self.cloud = cloud
        self.session = session
        self._token: str | None = None

    async def call(
        self,
        provider: ProviderName,
        function: str = "my-func",
        payload: Any = None,
        *,
        key: str | None = None,
        attempt: int = 1,
        timeout: float = 10.0,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        body = json.dumps(payload if payload is not None else {"a": 1}).encode()
        values = {"sidestep-attempt": str(attempt)} | ({"idempotency-key": key} if key else {})
        values |= dict(headers or {})
        base = self.cloud.urls[provider]
        match provider:
            case "AWS":
                url = f"{base}/2015-03-31/functions/{function}/invocations"
                sent = signed(self.cloud, url, body, {"X-Amz-Client-Context": client_context(values)})
            case "GCP":
                url = f"{base}/{function}"
                if self._token is None:
                    self._token = await asyncio.to_thread(id_token, self.cloud, base)
                sent = values | {"Authorization": f"Bearer {self._token}"}
            case "AZURE":
                url = f"{base}/api/{function}"
                sent = values | {"x-functions-key": self.cloud.settings.azure.function_key}
            case _:
                assert_never(provider)
        return await self.post(url, body, sent, timeout=timeout)

    async def post(
        self, url: str, body: bytes, headers: Mapping[str, str] | None = None, *, timeout: float = 10.0
    ) -> Answer:
        limit = aiohttp.ClientTimeout(total=timeout)
        given = {"Content-Type": "application/json", **(headers or {})}
        async with self.session.post(url, data=body, headers=given, timeout=limit) as response:
            return Answer(response.status, response.headers, await response.read())


@asynccontextmanager
async def caller_of(cloud: LocalCloud) -> AsyncIterator[Caller]:
    async with aiohttp.ClientSession() as session:
        yield Caller(cloud, session)


@asynccontextmanager
async def cloud_with(directory: Path, **settings: Any) -> AsyncIterator[tuple[LocalCloud, Caller]]:
    """A local cloud that has a directory's functions too."""
    own = LocalCloudSettings(port=0, functions=directory, **settings)
    async with LocalCloud(own) as cloud, caller_of(cloud) as caller:
        yield cloud, caller


def write(directory: Path, **modules: str) -> Path:
    """Write functions: `aws`, `gcp`, `azure` each a module's text."""
    names = {"aws": "lambda_function.py", "gcp": "main.py", "azure": "function_app.py"}
    for vendor, text in modules.items():
        (directory / vendor).mkdir(exist_ok=True)
        (directory / vendor / names[vendor]).write_text(text, encoding="utf-8")
    return directory
