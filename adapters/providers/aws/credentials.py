"""Where the signing keys come from: the settings, or boto3's credential chain."""

import time
from collections.abc import Callable
from typing import Any

from adapters.providers.aws.config import AwsConfig
from adapters.providers.aws.signing import Keys, Signer
from adapters.providers.wire.fresh import Fetched
from adapters.providers.wire.vendor import load
from core.errors import ConfigurationError

RECHECK_SECONDS = 60.0
"""How often botocore is asked for temporary credentials. It renews them itself, in that call, from 15 minutes
before they end."""


class NoCredentials(Exception):
    """boto3's chain found none."""


def explicit(config: AwsConfig) -> Signer | None:
    """A signer with the keys of the settings, or None where they give none. Raises ConfigurationError."""
    if not config.access_key_id and not config.secret_access_key:
        return None
    if not config.access_key_id or not config.secret_access_key:
        raise ConfigurationError("AWS: access_key_id and secret_access_key go together; one is missing.")
    for part in (config.access_key_id, config.secret_access_key, config.session_token or "-"):
        if not part.isascii() or not part.isprintable() or part != part.strip():
            raise ConfigurationError("AWS: a key or token holds characters that keys never hold.")
    return Signer(Keys(config.access_key_id, config.secret_access_key, config.session_token))


class Chain:
    """boto3's credential chain, asked in a thread; `fetch` fits `Fresh`."""

    def __init__(self, profile: str | None, clock: Callable[[], float] = time.time) -> None:
        self._profile = profile
        self._clock = clock
        self._found: Any = None
        self._signer: Signer | None = None

    def fetch(self, force: bool) -> Fetched[Signer]:
        """A signer with the chain's present keys; with `force` the chain is walked anew.

        Raises `NoCredentials`, and what botocore raises.
        """
        if self._found is None or force:
            self._found = load("botocore.session").Session(profile=self._profile).get_credentials()
        if self._found is None:
            raise NoCredentials
        frozen = self._found.get_frozen_credentials()
        keys = Keys(frozen.access_key, frozen.secret_key, frozen.token)
        # The same keys keep their signer: `Fresh` sees by identity whether a fetch brought something new.
        if self._signer is None or self._signer.keys != keys:
            self._signer = Signer(keys)
        renews = isinstance(self._found, load("botocore.credentials").RefreshableCredentials)
        return Fetched(self._signer, refresh_at=self._clock() + RECHECK_SECONDS if renews else None)
