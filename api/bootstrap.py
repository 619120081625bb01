"""The composition root: the one module that imports adapters and wires them to the engine."""

from pathlib import Path

from adapters.clock import SystemClock
from adapters.providers.build import build as build_providers
from adapters.stores.memory import MemoryStore
from adapters.stores.sqlite import SqliteStore
from api.runtime import Runtime
from api.settings import Settings
from core.engine.board import LocalBoard
from core.errors import ConfigurationError
from core.ports.clock import Clock
from core.ports.store import Store


def build(settings: Settings) -> Runtime:
    """The services that `settings` describe, not yet started. Raises ConfigurationError."""
    clock = SystemClock()
    store = open_store(settings.store, clock)
    return Runtime(
        clock=clock,
        store=store,
        providers=build_providers(settings.providers.plain(), facts=store),
        board=LocalBoard(settings.providers.missing(), clock),
        settings=settings.engine(),
    )


def open_store(url: str, clock: Clock) -> Store:
    """The store that `url` names, not yet open: `memory:` or `sqlite:PATH`. Raises ConfigurationError."""
    kind, _, path = url.partition(":")
    match kind:
        case "memory" if not path:
            return MemoryStore(clock)
        case "sqlite" if _can_be_a_file(path):
            return SqliteStore(path, clock)
        case "redis" | "rediss" | "unix":
            raise ConfigurationError(
                "The Redis store is not supported by this version; set SIDESTEP_STORE to 'sqlite:PATH' or "
                "'memory:'."
            )
        case _:
            # The URL may hold a password; it is not repeated.
            raise ConfigurationError(
                "SIDESTEP_STORE names no store that there is; set it to 'sqlite:PATH' (for instance "
                "'sqlite:sidestep.db') or 'memory:'."
            )


def _can_be_a_file(path: str) -> bool:
    """Whether a path ends in a name: not where it is empty, the root folder, or no path at all."""
    try:
        return bool(path and Path(path).resolve().name)
    except (OSError, RuntimeError, ValueError):  # a loop of links, a NUL
        return False
