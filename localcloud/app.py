"""One local cloud: four servers in the running event loop, and what points a Sidestep server at them."""

import asyncio
from types import TracebackType
from typing import Self

from aiohttp import web

from localcloud import loading
from localcloud.aws import functions as aws_functions
from localcloud.aws.front import AwsFront
from localcloud.control import Control
from localcloud.executor import Executor
from localcloud.ledger import Ledger
from localcloud.outages import Outages
from localcloud.settings import LocalCloudSettings
from localcloud.vendor import PROVIDERS, ProviderName, Vendor
from localcloud.wire import Front

_GRACE_SECONDS = 1.0


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
            for offset, provider in enumerate(PROVIDERS[:1], start=1):
                executor = Executor(provider, self._region(provider), self.ledger, self.settings.workers)
                vendor = self._vendor(provider, executor)
                outages = Outages(asyncio.get_running_loop().time)
                port = self.settings.port + offset if self.settings.port else 0
                front = self._fronts[provider] = Front(vendor, outages, self.settings.host, port)
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
        for front in self._fronts.values():
            await front.vendor.executor.stop(_GRACE_SECONDS)

    @property
    def control_url(self) -> str:
        """Where the control API is."""
        return self._url(self._control_port)

    @property
    def urls(self) -> dict[ProviderName, str]:
        """Where each provider is."""
        return {provider: self._url(front.port) for provider, front in self._fronts.items()}

    def environment(self) -> dict[str, str]:
        """The environment variables that point a Sidestep server here. They hold credentials."""
        aws = self.settings.aws
        return {
            "SIDESTEP_PROVIDERS__AWS__ENDPOINT_URL": self.urls["AWS"],
            "SIDESTEP_PROVIDERS__AWS__REGION": aws.region,
            "SIDESTEP_PROVIDERS__AWS__ACCESS_KEY_ID": aws.credentials[0].access_key_id,
            "SIDESTEP_PROVIDERS__AWS__SECRET_ACCESS_KEY": aws.credentials[0].secret_access_key,
        }

    def _vendor(self, _provider: ProviderName, executor: Executor) -> Vendor:
        own = self.settings.functions
        directories = [loading.DEMO] if own is None else [loading.DEMO, own]
        found = {name: f for directory in directories for name, f in aws_functions.find(directory).items()}
        return AwsFront(self.settings.aws, found, executor)

    def _region(self, provider: ProviderName) -> str:
        match provider:
            case "AWS":
                return self.settings.aws.region
            case "GCP":
                return self.settings.gcp.location
            case "AZURE":
                return self.settings.azure.region

    async def _open_control(self) -> None:
        hosts = frozenset({self.settings.host, self.settings.advertised_host or self.settings.host})
        control = Control(self._fronts, self.ledger, hosts)
        self._control = web.AppRunner(control.application(), access_log=None, shutdown_timeout=1.0)
        await self._control.setup()
        await web.TCPSite(self._control, self.settings.host, self.settings.port).start()
        self._control_port = self._control.addresses[0][1]

    def _url(self, port: int) -> str:
        host = self.settings.advertised_host or self.settings.host
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
