"""The AWS provider passes the contract."""

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

from adapters.providers.aws.config import AwsConfig
from adapters.providers.aws.provider import AwsProvider
from adapters.providers.wire.client import WireConfig
from adapters.providers.wire.resolver import system_lookup
from core.graph.model import Target
from core.ports.provider import Provider
from core.testing.contracts.provider import Lookup, ProviderContract
from core.testing.contracts.provider_server import Answer, Seen, json_answer


class TestAws(ProviderContract):
    probe_asks = True

    def provider(
        self, base_url: str, *, lookup: Lookup | None = None, private: Sequence[str] = (), **limits: Any
    ) -> Provider:
        config = AwsConfig(
            region="eu-west-1",
            endpoint_url=base_url,
            access_key_id="AKIDEXAMPLE",
            secret_access_key="wJalrXUtnFEMI",
            session_token="session-token",
            wire=WireConfig(allow_private_origins=tuple(private), **limits),
        )
        return AwsProvider(config, lookup=lookup or system_lookup)

    def target(self, base_url: str) -> Target:  # noqa: ARG002  the endpoint is the provider's
        return Target("AWS", "charge")

    def function_error(self, name: str, message: str) -> Answer:
        body = {"errorType": name, "errorMessage": message, "stackTrace": []}
        return json_answer(body, 200, {"X-Amz-Function-Error": "Unhandled"})

    def not_started(self) -> Answer:
        return self.function_error("Sidestep.NotStarted", "too late")

    def metadata(self, seen: Seen) -> Mapping[str, str]:
        context = json.loads(base64.b64decode(seen.headers["x-amz-client-context"]))
        custom: dict[str, str] = context["custom"]
        return custom
