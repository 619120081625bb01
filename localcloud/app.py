"""One local cloud: its servers in the running event loop, and what points a Sidestep server at them."""

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
from localcloud.certificates import Certificates
from localcloud.control import Control
from localcloud.credentials import CredentialsFile
from localcloud.executor import Executor
from localcloud.gcp import functions as gcp_functions
from localcloud.gcp.front import GcpFront
from localcloud.gcp.identity import Identity
from localcloud.ledger import Ledger
from localcloud.names import Names, name_of
from localcloud.outages import Outages
from localcloud.settings import LocalCloudSettings
from localcloud.tokens import Key
from localcloud.vendor import PROVIDERS, ProviderName, Vendor
from localcloud.wire import Front, bind, bind_datagram

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
        self._certificates: Certificates | None = None
        self._outages: dict[ProviderName, Outages] = {}
        self._names: Names | None = None
        self._names_port = 0
        self._tokens: Front | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Load the functions and open the servers."""
        try:
            if self.settings.tls:
                hosts = ("localhost", "127.0.0.1", *(name_of(name) for name in PROVIDERS), self._host)
                self._certificates = Certificates(hosts, self.settings.ca_file)
            key = Key()
            self._add(self._bind(1), self._aws)
            self._add(self._bind(2), lambda bound: self._gcp(bound, key))
            self._add(self._bind(3), lambda bound: self._azure(bound, key))
            for front in self._all_fronts:
                await front.open()
            await self._open_names()
            await self._open_control()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Close every connection and socket; what still runs is abandoned in the ledger."""
        if self._control is not None:
            await self._control.cleanup()
            self._control = None
        if self._names is not None:
            self._names.close()
            self._names = None
        for front in self._all_fronts:
            await front.close()
        self.ledger.abandon_running()
        await asyncio.gather(*(front.vendor.stop(_GRACE_SECONDS) for front in self._fronts.values()))
        self._credentials.remove()
        if self._certificates is not None:
            self._certificates.remove()

    @property
    def control_url(self) -> str:
        """Where the control API is."""
        return self._url(self._control_port)

    @property
    def urls(self) -> Mapping[ProviderName, str]:
        """Where each provider is, by address."""
        return {provider: self._url(front.port, tls=front.tls) for provider, front in self._fronts.items()}

    @property
    def named_urls(self) -> Mapping[ProviderName, str]:
        """Where each provider is, by a name that the name server knows."""
        scheme = "https" if self._certificates else "http"
        return {name: f"{scheme}://{name_of(name)}:{front.port}" for name, front in self._fronts.items()}

    @property
    def name_server(self) -> str:
        """The name server's address and port."""
        return (
            f"[{self._host}]:{self._names_port}" if ":" in self._host else f"{self._host}:{self._names_port}"
        )

    @property
    def ca_file(self) -> Path | None:
        """The certificate of the authority that signed the providers'; None without TLS."""
        return self._certificates.file if self._certificates else None

    def environment(self) -> dict[str, str]:
        """The environment variables that point a Sidestep server here.

        They hold credentials. The first call writes the service account's file (mode 0600); raises
        OSError where that cannot be done, RuntimeError before `start`.
        """
        if self._identity is None:
            raise RuntimeError("the local cloud has not been started")
        aws, gcp, azure = self.settings.aws, self.settings.gcp, self.settings.azure
        urls = self.named_urls if self.settings.names else self.urls
        return self._environment_of_the_wire() | {
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

    def _environment_of_the_wire(self) -> dict[str, str]:
        environment: dict[str, str] = {}
        for name in self._fronts:
            prefix = f"SIDESTEP_PROVIDERS__{name}__"
            if self.ca_file is not None:
                environment[f"{prefix}CA_FILE"] = str(self.ca_file)
            if self.settings.names:
                environment[f"{prefix}NAMESERVERS"] = self.name_server
                # The names lead to loopback, which no other name may.
                environment[f"{prefix}ALLOW_PRIVATE_ORIGINS"] = self.named_urls[name]
        return environment

    @property
    def _host(self) -> str:
        return self.settings.advertised_host or self.settings.host

    @property
    def _all_fronts(self) -> tuple[Front, ...]:
        return (*self._fronts.values(), *((self._tokens,) if self._tokens else ()))

    def _aws(self, _bound: socket.socket) -> Vendor:
        settings = self.settings.aws
        return AwsFront(settings, self._find(aws_functions.find), self._executor("AWS", settings.region))

    def _gcp(self, bound: socket.socket, key: Key) -> Vendor:
        settings = self.settings.gcp
        hosts = ("127.0.0.1", "localhost", name_of("GCP"), self._host)
        tokens, url = bound, self._url(bound.getsockname()[1], tls=self._certificates)
        if self._certificates is not None:
            tokens = self._bind(5)
        try:
            port = tokens.getsockname()[1]
            uris = dict.fromkeys(f"{self._url(port, host=host)}/token" for host in (self._host, *hosts))
            self._identity = Identity(settings, key, tuple(uris))
            executor = self._executor("GCP", settings.location)
            vendor = GcpFront(settings, self._find(gcp_functions.find), self._identity, url, hosts, executor)
        except BaseException:
            tokens.close()
            raise
        if tokens is not bound:
            # Google's tokens come from elsewhere: what ails the functions' sockets does not ail this one.
            self._tokens = Front(vendor, self._outages_of("GCP"), tokens, refusable=False)
        return vendor

    def _azure(self, bound: socket.socket, key: Key) -> Vendor:
        settings = self.settings.azure
        entra = Entra(settings, key, self._url(bound.getsockname()[1], tls=self._certificates))
        executor = self._executor("AZURE", settings.region)
        return AzureFront(settings, self._find(azure_functions.find), entra, executor)

    def _add(self, bound: socket.socket, make: Callable[[socket.socket], Vendor]) -> None:
        try:
            vendor = make(bound)
        except BaseException:
            bound.close()
            raise
        outages = self._outages_of(vendor.provider)
        tls = self._certificates.context(outages.forged) if self._certificates else None
        self._fronts[vendor.provider] = Front(vendor, outages, bound, tls)

    def _outages_of(self, provider: ProviderName) -> Outages:
        return self._outages.setdefault(provider, Outages(asyncio.get_running_loop().time))

    async def _open_names(self) -> None:
        port = self.settings.port + 4 if self.settings.port else 0
        bound = bind_datagram(self.settings.host, port)
        self._names_port = bound.getsockname()[1]
        self._names = Names(self.settings.host, self._outages)
        try:
            await self._names.open(bound)
        except BaseException:
            bound.close()
            raise

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
        hosts = frozenset({self.settings.host, self._host})
        name_server = {"host": self._host, "port": self._names_port}
        control = Control(self._fronts, self.ledger, hosts, name_server)
        self._control = web.AppRunner(control.application(), access_log=None, shutdown_timeout=1.0)
        await self._control.setup()
        site = web.SockSite(self._control, self._bind(0))
        await site.start()
        self._control_port = self._control.addresses[0][1]

    def _url(self, port: int, *, tls: object = None, host: str | None = None) -> str:
        host, scheme = host or self._host, "https" if tls else "http"
        return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


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
