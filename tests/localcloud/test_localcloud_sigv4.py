"""botocore's signer is the judge: what it signs is accepted, and not a byte of it may change."""

import time
from urllib.parse import quote

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import example, given
from hypothesis import strategies as st
from multidict import CIMultiDict

from localcloud.aws.errors import AwsError
from localcloud.aws.sigv4 import SigV4
from localcloud.executor import Call
from localcloud.settings import AwsCredential

OWN = AwsCredential("AKIAEXAMPLE000000000", "a secret")
STRANGE = (
    "AWS4-HMAC-SHA256 Credential=\udcff/20260101/us-east-1/lambda/aws4_request, "
    "SignedHeaders=host, Signature=\udcff"
)
HOST = "127.0.0.1:4101"
TEXT = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=20)


def call(
    path: str = "/2015-03-31/functions/f/invocations",
    query: str = "",
    body: bytes = b"{}",
    headers: dict[str, str] | None = None,
    region: str = "us-east-1",
    service: str = "lambda",
) -> Call:
    url = f"http://{HOST}{path}" + (f"?{query}" if query else "")
    request = AWSRequest("POST", url, data=body, headers=headers or {})
    SigV4Auth(Credentials(OWN.access_key_id, OWN.secret_access_key), service, region).add_auth(request)
    sent = CIMultiDict({"Host": HOST, **dict(request.headers.items())})
    return Call("POST", path, query, sent, body)


def verifier() -> SigV4:
    return SigV4("us-east-1", (OWN,))


def error_of(request: Call, verify: SigV4 | None = None) -> AwsError:
    with pytest.raises(AwsError) as raised:
        (verify or verifier()).verify(request)
    return raised.value


@given(
    name=TEXT.filter(lambda text: text.strip(".") != ""),
    query=st.lists(st.tuples(TEXT.filter(bool), TEXT), max_size=3),
    value=TEXT,
    body=st.binary(max_size=50),
)
@example(name="f", query=[("0", ""), ("00", "")], value="", body=b"")
def test_whatever_botocore_signs_is_accepted(
    name: str, query: list[tuple[str, str]], value: str, body: bytes
) -> None:
    text = "&".join(f"{quote(key, safe='')}={quote(item, safe='')}" for key, item in query)
    request = call(f"/2015-03-31/functions/{quote(name, safe='')}", text, body, {"X-Amz-Thing": value})
    assert verifier().verify(request) is OWN


@pytest.mark.parametrize(
    "change",
    [
        {"body": b"{ }"},
        {"path": "/2015-03-31/functions/g/invocations"},
        {"query": "Qualifier=2"},
        {"method": "PUT"},
        {"headers": {"X-Amz-Client-Context": "other"}},
        {"headers": {"Host": "127.0.0.1:1"}},
    ],
)
def test_a_changed_request_does_not_match_its_signature(change: dict[str, object]) -> None:
    request = call(query="Qualifier=1", headers={"X-Amz-Client-Context": "mine"})
    verifier().verify(request)
    for name, value in change.items():
        if isinstance(value, dict):
            assert isinstance(request.headers, CIMultiDict)
            request.headers.update(value)
        else:
            setattr(request, name, value)
    assert error_of(request).name == "InvalidSignatureException"


def test_an_x_amz_header_that_is_not_signed_is_refused() -> None:
    request = call()
    assert isinstance(request.headers, CIMultiDict)
    request.headers["X-Amz-Invocation-Type"] = "Event"
    error = error_of(request)
    assert error.name == "InvalidSignatureException"
    assert "'x-amz-invocation-type' must be a 'SignedHeader'" in error.message


def test_a_declared_payload_hash_must_be_that_of_the_payload() -> None:
    assert error_of(call(headers={"X-Amz-Content-Sha256": "0" * 64})).name == "InvalidSignatureException"


@pytest.mark.parametrize("scope", [{"region": "eu-west-1"}, {"service": "s3"}])
def test_another_region_or_service_is_another_scope(scope: dict[str, str]) -> None:
    error = error_of(call(**scope))  # type: ignore[arg-type]  # both are strings
    assert error.name == "InvalidSignatureException"
    assert "scoped" in error.message


@pytest.mark.parametrize(("ahead", "word"), [(301.0, "expired"), (-301.0, "not yet current")])
def test_a_clock_five_minutes_off_is_told_so(ahead: float, word: str) -> None:
    # The signer reads the wall clock, so the verifier's is moved from it.
    error = error_of(call(), SigV4("us-east-1", (OWN,), lambda: time.time() + ahead))
    assert error.name == "InvalidSignatureException"
    assert f"Signature {word}" in error.message


@pytest.mark.parametrize(
    ("header", "name"),
    [
        (None, "MissingAuthenticationTokenException"),
        ("", "IncompleteSignatureException"),
        ("Bearer x", "IncompleteSignatureException"),
        ("AWS4-HMAC-SHA256 Credential=a/b/c", "IncompleteSignatureException"),
        ("AWS4-HMAC-SHA256 " + "=," * 5_000, "IncompleteSignatureException"),
        (STRANGE, "UnrecognizedClientException"),
    ],
)
def test_a_malformed_authorization_is_told_apart_from_none(header: str | None, name: str) -> None:
    request = call()
    assert isinstance(request.headers, CIMultiDict)
    del request.headers["Authorization"]
    if header is not None:
        request.headers["Authorization"] = header
    assert error_of(request).name == name


@pytest.mark.parametrize("date", ["", "yesterday", "20261399T000000Z"])
def test_a_date_that_is_none_is_incomplete(date: str) -> None:
    request = call()
    assert isinstance(request.headers, CIMultiDict)
    if date.startswith("2"):  # keep scope and date alike, so that the date itself is looked at
        own = request.headers["X-Amz-Date"][:8]
        request.headers["Authorization"] = request.headers["Authorization"].replace(own, date[:8])
    request.headers["X-Amz-Date"] = date
    assert error_of(request).name == "IncompleteSignatureException"


def test_signature_bytes_beyond_ascii_are_no_crash() -> None:
    request = call()
    assert isinstance(request.headers, CIMultiDict)
    authorization = request.headers["Authorization"]
    request.headers["Authorization"] = authorization[:-4] + "\udcff\u00e9zz"
    assert error_of(request).name == "InvalidSignatureException"
