import socket

import boto3
import pytest

from adapters.payloads.s3 import S3Payloads
from core.errors import ConfigurationError, StoreUnavailable
from core.ports.payloads import Payloads
from core.testing.contracts.payloads import PayloadsContract, keys_of


class TestS3Payloads(PayloadsContract):
    @pytest.fixture
    def unopened(self, bucket: str) -> Payloads:
        return S3Payloads(bucket, "some/prefix/")


class TestS3PayloadsWithoutPrefix(PayloadsContract):
    @pytest.fixture
    def unopened(self, bucket: str) -> Payloads:
        return S3Payloads(bucket)


async def test_prefixes_of_one_bucket_do_not_see_each_other(bucket: str) -> None:
    one, other = S3Payloads(bucket, "one/"), S3Payloads(bucket, "other/")
    await one.open()
    await other.open()
    await one.put("group/name", b"x")
    assert await keys_of(other) == []
    assert await keys_of(one) == ["group/name"]
    await one.close()
    await other.close()


async def test_strangers_objects_are_not_listed(bucket: str) -> None:
    payloads = S3Payloads(bucket, "p/")
    await payloads.open()
    client = boto3.session.Session().client("s3")
    for name in ("p/readme", "p/00/group/name", "other"):
        client.put_object(Bucket=bucket, Key=name, Body=b"x")
    client.close()
    await payloads.put("group/name", b"x")
    assert await keys_of(payloads, limit=1) == ["group/name"]
    await payloads.close()


async def test_a_bucket_that_is_missing_is_refused_in_a_sentence(bucket: str) -> None:
    with pytest.raises(ConfigurationError, match="does not exist"):
        await S3Payloads(f"{bucket}-not").open()


async def test_an_s3_that_is_away_is_a_store_that_is_away(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    payloads = S3Payloads(bucket)
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{port}")
    with pytest.raises(StoreUnavailable):
        await payloads.open()


async def test_a_bucket_that_went_away_is_no_bucket_without_payloads(bucket: str) -> None:
    payloads = S3Payloads(bucket)
    await payloads.open()
    client = boto3.session.Session().client("s3")
    client.delete_bucket(Bucket=bucket)
    client.close()
    for act in (payloads.get("group/name"), payloads.put("group/name", b"x"), payloads.list(None, 1)):
        with pytest.raises(StoreUnavailable):
            await act
    await payloads.close()
