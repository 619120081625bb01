"""How our function wrapper speaks over plain HTTP: what the bindings of GCP, AZURE and HTTP share."""

from collections.abc import Mapping

from core.testing.contracts.provider import ProviderContract
from core.testing.contracts.provider_server import Answer, Seen, json_answer


class PlatformContract(ProviderContract):
    def function_error(self, name: str, message: str) -> Answer:
        body = {"errorType": name, "errorMessage": message}
        return json_answer(body, 500, {"Sidestep-Error": "function"})

    def metadata(self, seen: Seen) -> Mapping[str, str]:
        names = ("idempotency-key", "sidestep-attempt", "sidestep-not-after", "traceparent")
        return {name: seen.headers[name] for name in names if name in seen.headers}
