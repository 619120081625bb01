"""Tokens as Microsoft Entra hands them out: the client credentials grant, and their verification."""

import json
import time
from collections.abc import Callable
from typing import Any

from localcloud.executor import Call, Reply
from localcloud.settings import AzureSettings
from localcloud.strangers import form, same
from localcloud.tokens import Key, TokenError, Verifier

_JSON = {"Content-Type": "application/json; charset=utf-8"}


class Entra:
    """One tenant with one client. `url` is where it is known."""

    def __init__(
        self, settings: AzureSettings, key: Key, url: str, now: Callable[[], float] = time.time
    ) -> None:
        self._settings = settings
        self._key = key
        self._issuer = f"{url}/{settings.tenant}/v2.0"
        self._now = now
        self._verifier = Verifier(key, now)

    def token(self, call: Call) -> Reply:
        """`POST /{tenant}/oauth2/v2.0/token`."""
        fields = form(call.body)
        secret = fields.get("client_secret", [""])[0]
        if fields.get("grant_type") != ["client_credentials"]:
            return _refused(400, "unsupported_grant_type", "Only client_credentials is supported.")
        known = fields.get("client_id") == [self._settings.client_id]
        if not known or not same(secret, self._settings.client_secret):
            return _refused(401, "invalid_client", "Invalid client secret provided.")
        if fields.get("scope") != [f"{self._settings.audience}/.default"]:
            return _refused(400, "invalid_scope", f"The scope must be {self._settings.audience}/.default.")
        now = int(self._now())
        lifetime = int(self._settings.token_seconds)
        claims = {
            "iss": self._issuer,
            "aud": self._settings.audience,
            "appid": self._settings.client_id,
            "tid": self._settings.tenant,
            "ver": "2.0",
            "iat": now,
            "nbf": now,
            "exp": now + lifetime,
        }
        body = {"token_type": "Bearer", "expires_in": lifetime, "access_token": self._key.sign(claims)}
        return Reply(200, _JSON, json.dumps(body).encode())

    def key_set(self) -> Reply:
        """`GET /{tenant}/discovery/v2.0/keys`."""
        return Reply(200, _JSON, json.dumps({"keys": [self._key.jwk]}).encode())

    def allows(self, authorization: str) -> bool:
        """Whether an `Authorization` header bears a token of this tenant for this app."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer":
            return False
        try:
            self._verifier.verify(
                token.strip(), issuers=(self._issuer,), audiences=(self._settings.audience,)
            )
        except TokenError:
            return False
        return True


def _refused(status: int, error: str, description: str) -> Reply:
    body: dict[str, Any] = {"error": error, "error_description": description}
    return Reply(status, _JSON, json.dumps(body).encode())
