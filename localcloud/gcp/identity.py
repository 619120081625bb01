"""Who may call: a service account, the token endpoint that trusts its key, and the tokens it hands out.

A caller signs an assertion with the service account's key (JWT bearer grant, RFC 7523) and gets an
ID token for one audience, or an access token for the management API.
"""

import json
import time
from collections.abc import Callable, Container
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from localcloud.executor import Call, Reply
from localcloud.settings import GcpSettings
from localcloud.strangers import form
from localcloud.tokens import Key, TokenError, Verifier

ISSUER = "https://accounts.google.com"
_API_AUDIENCE = "https://cloudfunctions.googleapis.com/"
# google-auth's assertions name this audience, whatever the file's token_uri says.
_TOKEN_AUDIENCE = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address
_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_CLIENT_ID = "100000000000000000001"
_JSON = {"Content-Type": "application/json; charset=UTF-8"}
_MAX_AUDIENCE = 1_000


@dataclass(frozen=True, slots=True)
class Audiences:
    """The audiences that a function takes: its host's or its own URL, under every port that leads to it."""

    hosts: frozenset[str]
    function: str

    def __contains__(self, audience: object) -> bool:
        if not isinstance(audience, str):
            return False
        try:
            parts = urlsplit(audience)
        except ValueError:
            return False
        return (
            parts.scheme in ("http", "https")
            and parts.hostname in self.hosts
            and parts.path.rstrip("/") in ("", f"/{self.function}")
            and not (parts.query or parts.fragment or parts.username)
        )


class Identity:
    """One service account. `token_uris`: the addresses under which the token endpoint is known."""

    def __init__(
        self,
        settings: GcpSettings,
        issuer_key: Key,
        token_uris: tuple[str, ...],
        now: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._token_uris = token_uris
        self._now = now
        self._account_key = Key()
        self._issuer_key = issuer_key
        self._account = Verifier(self._account_key, now)
        self._issued = Verifier(issuer_key, now)

    def service_account_file(self) -> dict[str, Any]:
        """The service account as google-auth reads it from a file. It holds the private key."""
        return {
            "type": "service_account",
            "project_id": self._settings.project,
            "private_key_id": self._account_key.key_id,
            "private_key": self._account_key.private_pem,
            "client_email": self._settings.service_account,
            "client_id": _CLIENT_ID,
            "token_uri": self._token_uris[0],
        }

    def token(self, call: Call) -> Reply:
        """`POST /token`."""
        fields = form(call.body)
        if fields.get("grant_type") != [_GRANT]:
            return _refused("unsupported_grant_type", "The grant type must be the JWT bearer grant.")
        try:
            claims = self._account.verify(
                fields.get("assertion", [""])[0],
                issuers=(self._settings.service_account,),
                audiences=(*self._token_uris, _TOKEN_AUDIENCE),
            )
        except TokenError as error:
            return _refused("invalid_grant", f"Invalid JWT: {error}.")
        audience = claims.get("target_audience")
        if audience is None:
            token = self._issue(_API_AUDIENCE)
            body: dict[str, Any] = {"access_token": token, "token_type": "Bearer"}
            return _granted(body | {"expires_in": int(self._settings.token_seconds)})
        if not isinstance(audience, str) or not 0 < len(audience) <= _MAX_AUDIENCE:
            return _refused("invalid_request", "target_audience must be a string.")
        return _granted({"id_token": self._issue(audience)})

    def certificates(self) -> Reply:
        """`GET /oauth2/v1/certs`: certificates by key id."""
        return _granted({self._issuer_key.key_id: self._issuer_key.certificate})

    def key_set(self) -> Reply:
        """`GET /oauth2/v3/certs`: a JSON Web Key Set."""
        return _granted({"keys": [self._issuer_key.jwk]})

    def check_id_token(self, call: Call, audiences: Container[str]) -> None:
        """Raises TokenError unless the request bears an ID token for one of the audiences."""
        self._issued.verify(_bearer(call), issuers=(ISSUER,), audiences=audiences)

    def check_access(self, call: Call) -> None:
        """Raises TokenError unless the request may use the management API.

        It takes an access token of the token endpoint, or a JWT that the service account signed itself.
        """
        token = _bearer(call)
        try:
            self._issued.verify(token, issuers=(ISSUER,), audiences=(_API_AUDIENCE,))
        except TokenError:
            self._account.verify(token, issuers=(self._settings.service_account,), audiences=None)

    def _issue(self, audience: str) -> str:
        now = int(self._now())
        return self._issuer_key.sign(
            {
                "iss": ISSUER,
                "aud": audience,
                "azp": self._settings.service_account,
                "sub": _CLIENT_ID,
                "email": self._settings.service_account,
                "email_verified": True,
                "iat": now,
                "exp": now + int(self._settings.token_seconds),
            }
        )


def _bearer(call: Call) -> str:
    scheme, _, token = call.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise TokenError("the request bears no token")
    return token.strip()


def _granted(body: dict[str, Any]) -> Reply:
    return Reply(200, _JSON, json.dumps(body).encode())


def _refused(error: str, description: str) -> Reply:
    return Reply(400, _JSON, json.dumps({"error": error, "error_description": description}).encode())
