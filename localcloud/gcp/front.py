"""Google's front: functions under their names, the token endpoint, and the call that finds a URI."""

import json
from urllib.parse import unquote

from localcloud import metadata, raising
from localcloud.executor import Call, Ended, Executor, Reply
from localcloud.gcp.errors import FAULTS, api_error, failed, fault
from localcloud.gcp.functions import HttpFunction
from localcloud.gcp.identity import Audiences, Identity
from localcloud.settings import GcpSettings
from localcloud.tokens import TokenError
from localcloud.vendor import FaultOptions, Faults, ProviderName

_MAX_BODY = 33_554_432  # bytes: 32 MiB, Cloud Run's quota for an HTTP/1 request
_NO_OPTIONS = FaultOptions()
_CONTROL = frozenset({"", "token", "oauth2", "v2"})
_JSON = {"Content-Type": "application/json; charset=UTF-8"}


class GcpFront:
    """Implements `localcloud.vendor.Vendor`. `url` is its own; under the names in `hosts` it is known too."""

    provider: ProviderName = "GCP"
    faults: Faults = FAULTS
    max_body = _MAX_BODY

    def __init__(
        self,
        settings: GcpSettings,
        functions: dict[str, HttpFunction],
        identity: Identity,
        url: str,
        hosts: tuple[str, ...],
        executor: Executor,
    ) -> None:
        self.executor = executor
        self._settings = settings
        self._functions = functions
        self._identity = identity
        self._url = url
        self._parent = f"projects/{settings.project}/locations/{settings.location}/functions"
        self._audiences = {name: Audiences(frozenset(hosts), name) for name in functions}

    @property
    def functions(self) -> tuple[str, ...]:
        """The names of the functions that it has."""
        return tuple(sorted(self._functions))

    def function_of(self, call: Call) -> str | None:
        """The function that a request invokes; None for the token endpoint and the management API."""
        name = call.path.split("/", 2)[1] if call.path.startswith("/") else ""
        return None if name in _CONTROL else unquote(name)

    async def answer(self, call: Call) -> Reply:
        """Serve a function, a token or a management call."""
        name = self.function_of(call)
        if name is None:
            return self._control(call)
        function = self._functions.get(name)
        if function is None:
            return fault("not-found", _NO_OPTIONS)
        if "Authorization" not in call.headers:
            return fault("forbidden", _NO_OPTIONS)
        try:
            self._identity.check_id_token(call, self._audiences[name])
        except TokenError:
            return fault("invalid-token", _NO_OPTIONS)
        rest = unquote(call.path[len(call.path.split("/", 2)[1]) + 1 :], "latin-1") or "/"
        values = metadata.read(call.headers)
        raises = call.raises

        def job() -> Ended:
            return function.run(call, rest) if raises is None else raising.ended(values, failed(raises))

        try:
            return await self.executor.execute(call, name, values, job, self._settings.timeout_seconds)
        except TimeoutError:
            return fault("upstream-timeout", _NO_OPTIONS)  # the container runs on

    def fault(self, name: str, options: FaultOptions) -> Reply:
        """One of its errors by name."""
        return fault(name, options)

    def too_large(self) -> Reply:
        """The answer to more than 32 MiB."""
        return fault("too-large", _NO_OPTIONS)

    async def stop(self, grace: float) -> None:
        """End its threads."""
        await self.executor.stop(grace)

    def _control(self, call: Call) -> Reply:
        match call.method, call.path:
            case "POST", "/token":
                return self._identity.token(call)
            case "GET", "/oauth2/v1/certs":
                return self._identity.certificates()
            case "GET", "/oauth2/v3/certs":
                return self._identity.key_set()
            case "GET", path if path.startswith("/v2/"):
                try:
                    self._identity.check_access(call)
                except TokenError as error:
                    return api_error(401, "UNAUTHENTICATED", f"The request lacks valid credentials: {error}.")
                return self._describe(unquote(path.removeprefix("/v2/")))
            case _:
                return fault("not-found", _NO_OPTIONS)

    def _describe(self, resource: str) -> Reply:
        if resource == self._parent:
            listed = {"functions": [self._resource(self._functions[name]) for name in self.functions]}
            return Reply(200, _JSON, json.dumps(listed).encode())
        parent, _, name = resource.rpartition("/")
        function = self._functions.get(name)
        if parent != self._parent or function is None:
            return api_error(404, "NOT_FOUND", f"Resource '{resource[:300]}' was not found")
        return Reply(200, _JSON, json.dumps(self._resource(function)).encode())

    def _resource(self, function: HttpFunction) -> dict[str, object]:
        uri = f"{self._url}/{function.name}"
        return {
            "name": f"{self._parent}/{function.name}",
            "environment": "GEN_2",
            "state": "ACTIVE",
            "buildConfig": {"runtime": "python311", "entryPoint": function.entry_point},
            "serviceConfig": {
                "uri": uri,
                "timeoutSeconds": int(self._settings.timeout_seconds),
                "allTrafficOnLatestRevision": True,
            },
            "url": uri,
        }
