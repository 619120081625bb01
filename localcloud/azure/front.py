"""Azure's front: HTTP triggers below `/api`, keys or Entra tokens, and the tenant's token endpoint."""

from urllib.parse import parse_qs

from localcloud import metadata, raising
from localcloud.azure.entra import Entra
from localcloud.azure.errors import FAULTS, failed, fault
from localcloud.azure.functions import HttpTrigger, LoopThread
from localcloud.executor import Call, Ended, Executor, Reply
from localcloud.settings import AzureSettings
from localcloud.strangers import same
from localcloud.vendor import FaultOptions, Faults, ProviderName

_PREFIX = "/api"
_MAX_BODY = 104_857_600  # bytes: 100 MB, the documented limit of a request to an HTTP trigger
_NO_OPTIONS = FaultOptions()
_HOME = Reply(
    200,
    {"Content-Type": "text/html"},
    b"<!DOCTYPE html><html><body><h1>Your Azure Function App is up and running.</h1></body></html>",
)


class AzureFront:
    """Implements `localcloud.vendor.Vendor`."""

    provider: ProviderName = "AZURE"
    faults: Faults = FAULTS
    max_body = _MAX_BODY

    def __init__(
        self, settings: AzureSettings, functions: dict[str, HttpTrigger], entra: Entra, executor: Executor
    ) -> None:
        self.executor = executor
        self._settings = settings
        self._triggers = sorted(functions.values(), key=lambda trigger: len(trigger.route.parameters))
        self._entra = entra
        self._loop = LoopThread()

    @property
    def functions(self) -> tuple[str, ...]:
        """The names of the functions that it has."""
        return tuple(sorted(trigger.name for trigger in self._triggers))

    def function_of(self, call: Call) -> str | None:
        """The function that a request invokes; "" for the host's own page, None for the token endpoint."""
        if call.path == "/":
            return ""
        if not call.path.startswith(f"{_PREFIX}/"):
            return None
        found = self._match(call)
        # What matches nothing is an invocation too, of a function that is not there.
        return found[0].name if found else call.path[len(_PREFIX) + 1 :]

    async def answer(self, call: Call) -> Reply:
        """Route, check the key, run."""
        tenant = f"/{self._settings.tenant}"
        match call.method, call.path:
            case "POST", path if path == f"{tenant}/oauth2/v2.0/token":
                return self._entra.token(call)
            case "GET", path if path == f"{tenant}/discovery/v2.0/keys":
                return self._entra.key_set()
            case "GET" | "HEAD", "/":
                return _HOME
            case _:
                found = self._match(call)
        if found is None:
            return fault("not-found", _NO_OPTIONS)
        trigger, parameters = found
        if not self._allowed(call, trigger):
            return fault("unauthorized", _NO_OPTIONS)
        values = metadata.read(call.headers)
        raises = call.raises

        def job() -> Ended:
            if raises is not None:
                return raising.ended(values, failed(raises))
            return trigger.run(call, parameters, self._loop)

        try:
            return await self.executor.execute(
                call, trigger.name, values, job, self._settings.timeout_seconds
            )
        except TimeoutError:
            return fault("gateway-timeout", _NO_OPTIONS)  # the function runs on

    def fault(self, name: str, options: FaultOptions) -> Reply:
        """One of its errors by name."""
        return fault(name, options)

    def too_large(self) -> Reply:
        """The answer to more than 100 MB."""
        return fault("too-large", _NO_OPTIONS)

    async def stop(self, grace: float) -> None:
        """End its threads."""
        await self._loop.stop(grace)
        await self.executor.stop(grace)

    def _match(self, call: Call) -> tuple[HttpTrigger, dict[str, str]] | None:
        path = call.path.removeprefix(_PREFIX).rstrip("/")
        if path == call.path.rstrip("/"):
            return None
        for trigger in self._triggers:
            if trigger.methods and call.method not in trigger.methods:
                continue
            parameters = trigger.route.match(path)
            if parameters is not None:
                return trigger, parameters
        return None

    def _allowed(self, call: Call, trigger: HttpTrigger) -> bool:
        if trigger.level == "ANONYMOUS":
            return True
        given = call.headers.get("x-functions-key") or parse_qs(call.query).get("code", [""])[0]
        if same(given, self._settings.master_key):
            return True
        if trigger.level == "ADMIN":
            return False
        own = self._settings.function_keys.get(trigger.name)
        if same(given, self._settings.function_key) or (own is not None and same(given, own)):
            return True
        return self._entra.allows(call.headers.get("Authorization", ""))
