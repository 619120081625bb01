"""One local cloud: four servers in the running event loop, and what points a Sidestep server at them."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from aiohttp import web

from localcloud import loading
from localcloud.aws import functions as aws_functions
from localcloud.aws.front import AwsFront
from localcloud.azure import functions as azure_functions
from localcloud.azure.entra import Entra
from localcloud.azure.front import AzureFront
from localcloud.control import Control
from localcloud.credentials import CredentialsFile
from localcloud.executor import Executor
from localcloud.gcp import functions as gcp_functions
from localcloud.gcp.front import GcpFront
from localcloud.gcp.identity import Identity
from localcloud.ledger import Ledger
from localcloud.outages import Outages
from localcloud.settings import LocalCloudSettings
from localcloud.tokens import Key
from localcloud.vendor import ProviderName, Vendor
from localcloud.wire import Front, bind

_GRACE_SECONDS = 1.0

T = TypeVar("T")


class LocalCloud:
    """AWS, GCP and AZURE on loopback. Start it once, stop it once, or use it as an async context manager.

    `start` raises OSError where a port is taken and `loading.FunctionsError` where the directory of
    functions cannot be used; what it had opened by then is closed again.
    """

    def __init__(self, settings: LocalCloudSettings | None = None) -> None:
        self.settings = settings or LocalCloudSettings()
        self.ledger = Ledger(self.settings.ledger_entries, self.settings.ledger_keys)
        self._fronts: dict[ProviderName, Front] = {}
        self._control: web.AppRunner | None = None
        self._control_port = self.settings.port
        self._identity: Identity | None = None
        self._credentials = CredentialsFile(self.settings.credentials_file)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Load the functions and open the four servers."""
        try:
            key = Key()
            self._add(self._bind(1), self._aws)
            self._add(self._bind(2), lambda bound: self._gcp(bound, key))
            self._add(self._bind(3), lambda bound: self._azure(bound, key))
            for front in self._fronts.values():
                await front.open()
            await self._open_control()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Close every connection and socket; what still runs is abandoned in the ledger."""
        if self._control is not None:
            await self._control.cleanup()
            self._control = None
        for front in self._fronts.values():
            await front.close()
        self.ledger.abandon_running()
        await asyncio.gather(*(front.vendor.stop(_GRACE_SECONDS) for front in self._fronts.values()))
        self._credentials.remove()

    @property
    def control_url(self) -> str:
        """Where the control API is."""
        return self._url(self._control_port)

    @property
    def urls(self) -> Mapping[ProviderName, str]:
        """Where each provider is."""
        return {provider: self._url(front.port) for provider, front in self._fronts.items()}

    def environment(self) -> dict[str, str]:
        """The environment variables that point a Sidestep server here.

        They hold credentials. The first call writes the service account's file (mode 0600); raises
        OSError where that cannot be done, RuntimeError before `start`.
        """
        if self._identity is None:
            raise RuntimeError("the local cloud has not been started")
        aws, gcp, azure = self.settings.aws, self.settings.gcp, self.settings.azure
        urls = self.urls
        return {
            "SIDESTEP_PROVIDERS__AWS__ENDPOINT_URL": urls["AWS"],
            "SIDESTEP_PROVIDERS__AWS__REGION": aws.region,
            "SIDESTEP_PROVIDERS__AWS__ACCESS_KEY_ID": aws.credentials[0].access_key_id,
            "SIDESTEP_PROVIDERS__AWS__SECRET_ACCESS_KEY": aws.credentials[0].secret_access_key,
            "SIDESTEP_PROVIDERS__GCP__BASE_URL": urls["GCP"],
            "SIDESTEP_PROVIDERS__GCP__PROJECT": gcp.project,
            "SIDESTEP_PROVIDERS__GCP__LOCATION": gcp.location,
            "SIDESTEP_PROVIDERS__GCP__CREDENTIALS_FILE": str(
                self._credentials.write(self._identity.service_account_file())
            ),
            "SIDESTEP_PROVIDERS__AZURE__BASE_URL": urls["AZURE"],
            "SIDESTEP_PROVIDERS__AZURE__FUNCTION_KEY": azure.function_key,
        }

    def _aws(self, _bound: socket.socket) -> Vendor:
        settings = self.settings.aws
        return AwsFront(settings, self._find(aws_functions.find), self._executor("AWS", settings.region))

    def _gcp(self, bound: socket.socket, key: Key) -> Vendor:
        settings = self.settings.gcp
        port = bound.getsockname()[1]
        own = self._url(port)
        known = (f"http://127.0.0.1:{port}", f"http://localhost:{port}")
        urls = (own, *(url for url in known if url != own))
        self._identity = Identity(settings, key, tuple(f"{url}/token" for url in urls))
        executor = self._executor("GCP", settings.location)
        return GcpFront(settings, self._find(gcp_functions.find), self._identity, urls, executor)

    def _azure(self, bound: socket.socket, key: Key) -> Vendor:
        settings = self.settings.azure
        entra = Entra(settings, key, self._url(bound.getsockname()[1]))
        executor = self._executor("AZURE", settings.region)
        return AzureFront(settings, self._find(azure_functions.find), entra, executor)

    def _add(self, bound: socket.socket, make: Callable[[socket.socket], Vendor]) -> None:
        try:
            vendor = make(bound)
        except BaseException:
            bound.close()
            raise
        outages = Outages(asyncio.get_running_loop().time)
        self._fronts[vendor.provider] = Front(vendor, outages, bound)

    def _bind(self, offset: int) -> socket.socket:
        return bind(self.settings.host, self.settings.port + offset if self.settings.port else 0)

    def _executor(self, provider: ProviderName, region: str) -> Executor:
        return Executor(provider, region, self.ledger, self.settings.workers)

    def _find(self, find: Callable[[Path], dict[str, T]]) -> dict[str, T]:
        functions = find(loading.DEMO)
        if self.settings.functions is not None:
            functions |= find(self.settings.functions)
        return functions

    async def _open_control(self) -> None:
        hosts = frozenset({self.settings.host, self.settings.advertised_host or self.settings.host})
        control = Control(self._fronts, self.ledger, hosts)
        self._control = web.AppRunner(control.application(), access_log=None, shutdown_timeout=1.0)
        await self._control.setup()
        site = web.SockSite(self._control, self._bind(0))
        await site.start()
        self._control_port = self._control.addresses[0][1]

    def _url(self, port: int) -> str:
        host = self.settings.advertised_host or self.settings.host
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def serve(settings: LocalCloudSettings, ready: Callable[[LocalCloud], None]) -> None:
    """Run a local cloud until SIGINT or SIGTERM; `ready` is called once it can be used.

    Raises what `LocalCloud.start` raises.
    """
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    async with LocalCloud(settings) as cloud:
        for number in (signal.SIGINT, signal.SIGTERM):
            with contextlib.suppress(NotImplementedError):  # not every system's loop has signals
                loop.add_signal_handler(number, asked.set)
        try:
            ready(cloud)
            await asked.wait()
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                with contextlib.suppress(NotImplementedError):
                    loop.remove_signal_handler(number)
