"""Our signer against botocore's own."""

import asyncio
import time
from typing import Any

import hypothesis.strategies as st
from botocore.auth import SIGV4_TIMESTAMP, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given, settings

from adapters.providers.aws.config import AwsConfig
from adapters.providers.aws.provider import AwsProvider
from adapters.providers.aws.signing import Keys, Signer
from adapters.providers.wire.payload import encode
from adapters.providers.wire.provider import Request
from core.graph.model import Target
from core.ports.provider import Call

KEYS = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/+=", min_size=1, max_size=60)
NAMES = st.from_regex(
    r"\A(arn:aws:lambda:us-east-2:[0-9]{12}:function:)?[A-Za-z0-9_-]{1,64}(:(\$LATEST|[A-Za-z0-9_-]{1,20}))?\Z"
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)
ENDPOINTS = st.sampled_from(
    [None, "http://127.0.0.1:4101", "https://lambda.example.com:8443/base", "http://[::1]:99"]
)


def botocores(request: Request, body: bytes, keys: Keys, region: str, now: float) -> str:
    """The Authorization header that botocore gives to the same request."""
    signed = {
        name.lower()
        for name in request.headers["Authorization"].split("SignedHeaders=")[1].split(",")[0].split(";")
    }
    headers = {name: value for name, value in request.headers.items() if name.lower() in signed}
    theirs = AWSRequest("POST", str(request.url), headers=headers, data=body)
    auth: Any = SigV4Auth(Credentials(keys.access_key, keys.secret_key, keys.token), "lambda", region)
    # As add_auth does, but at a time that we choose.
    theirs.context["timestamp"] = time.strftime(SIGV4_TIMESTAMP, time.gmtime(now))
    auth._modify_request_before_signing(theirs)
    canonical = auth.canonical_request(theirs)
    auth._inject_signature_to_request(theirs, auth.signature(auth.string_to_sign(theirs, canonical), theirs))
    return str(theirs.headers["Authorization"])


@settings(deadline=None)  # two cores shared with other tests: a deadline would measure those
@given(
    access=KEYS,
    secret=KEYS,
    token=st.none() | KEYS,
    name=NAMES,
    payload=JSON,
    key=st.text(min_size=1, max_size=40),
    now=st.integers(1_000_000_000, 4_000_000_000),
    endpoint=ENDPOINTS,
)
def test_every_signature_is_the_one_that_botocore_makes(
    access: str,
    secret: str,
    token: str | None,
    name: str,
    payload: object,
    key: str,
    now: int,
    endpoint: str | None,
) -> None:
    provider = AwsProvider(
        AwsConfig(
            region="eu-west-1",
            endpoint_url=endpoint,
            access_key_id=access,
            secret_access_key=secret,
            session_token=token,
        ),
        clock=lambda: float(now),
    )
    target = Target("AWS", name)
    call = Call(
        target=target,
        payload=payload,
        idempotency_key=key,
        attempt=1,
        timeout_ms=1000,
        not_after_ms=1,
        traceparent="",
    )
    route = provider._routed(target)
    assert not isinstance(route, str), route
    body = encode(payload)
    request = asyncio.run(provider._request(call, route, body))
    assert isinstance(request, Request)
    expected = botocores(request, body, Keys(access, secret, token or None), route.region, now)
    assert request.headers["Authorization"] == expected
    assert route.region == ("us-east-2" if name.startswith("arn:") else "eu-west-1")


def test_a_signer_keeps_up_with_the_date() -> None:
    """Because the derived key is kept, and is good for one day only."""
    signer = Signer(Keys("AKID", "secret"))
    fresh = Signer(Keys("AKID", "secret"))

    def sign(one: Signer, now: float) -> str:
        return one.headers(region="eu-west-1", host="h", path="/", extra=(), body=b"", now=now)[
            "Authorization"
        ]

    first = sign(signer, 1_700_000_000)
    assert sign(signer, 1_700_086_400) == sign(fresh, 1_700_086_400) != first


def test_secrets_do_not_show_when_things_are_printed() -> None:
    config = AwsConfig(access_key_id="AKID", secret_access_key="hush", session_token="hush")
    assert "hush" not in repr(config)
    assert "hush" not in repr(Keys("AKID", "hush", "hush"))
