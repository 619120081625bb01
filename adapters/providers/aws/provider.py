"""The AWS provider."""

import base64
import time
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
from yarl import URL

from adapters.providers.aws.config import AwsConfig
from adapters.providers.aws.credentials import Chain, explicit
from adapters.providers.aws.errors import classify
from adapters.providers.aws.functions import FunctionName, endpoint_of, is_region, parse_function
from adapters.providers.aws.signing import Signer, canonical_path
from adapters.providers.wire import outcomes
from adapters.providers.wire.endpoint import Endpoint
from adapters.providers.wire.fresh import Fresh
from adapters.providers.wire.metadata import callback, plain_headers
from adapters.providers.wire.origins import BadUrl, Location, parse_base
from adapters.providers.wire.provider import Request, WireProvider
from adapters.providers.wire.reply import Reply
from adapters.providers.wire.resolver import Lookup, system_lookup
from core.errors import ConfigurationError
from core.failover.outcome import Outcome, Scope
from core.graph.model import Target
from core.ports.provider import Call

_OPEN_SECONDS = 5.0
_SKEW_SECONDS = 60.0
_NOTHING = b"{}"
_NO_CREDENTIALS = "AWS: no credentials were found by boto3's chain"
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class _Route:
    region: str
    endpoint: Endpoint
    host: str
    path: str
    """As it is signed."""


class AwsProvider(WireProvider[_Route]):
    """Calls Lambda functions.

    A function id is never part of a host name: it is quoted into the path of the region's endpoint, and a
    region has the form of a region. So nothing that a definition says sends a signature elsewhere.
    """

    name = "AWS"

    def __init__(
        self, config: AwsConfig, *, lookup: Lookup = system_lookup, clock: Callable[[], float] = time.time
    ) -> None:
        """Raises ConfigurationError."""
        super().__init__(config.wire, lookup=lookup)
        self._config = config
        self._clock = clock
        self._skew = 0.0
        self._fixed = explicit(config)
        self._fresh: Fresh[Signer] | None = None
        for region in (*config.regions, *([config.region] if config.region else [])):
            if not is_region(region):
                raise ConfigurationError(f"AWS: {region!r} is not the name of a region, like eu-west-1.")
        try:
            base = self._base(config.region or "eu-west-1")
        except BadUrl as problem:
            raise ConfigurationError(f"AWS endpoint_url: {problem}.") from None
        self._refuse_plain_http(base.origin)

    async def open(self) -> None:
        """Make connections and look for credentials, for 5 s at most.

        A chain that finds none is no reason not to start (the metadata service may be down with its cloud):
        it is asked again in the background, and calls end as outcomes of scope CREDENTIALS meanwhile.
        """
        await super().open()
        if self._fixed is None:
            self._fresh = Fresh(Chain(self._config.profile).fetch, name="AWS credentials", clock=self._clock)
            self._fresh.start()
            await self._fresh.get(_OPEN_SECONDS)

    async def close(self) -> None:
        """Stop refreshing and close every connection."""
        if self._fresh is not None:
            await self._fresh.close()
        await super().close()

    def _base(self, region: str) -> Location:
        template = self._config.endpoint_url
        return parse_base(template.replace("{region}", region) if template else endpoint_of(region))

    def _route(self, target: Target) -> _Route | str:
        function = parse_function(target.function_id)
        if function is None:
            return "AWS: the functionId is not a Lambda function's name, alias or ARN."
        region = function.region or target.region or self._config.region
        problem = self._foreign(function, target, region)
        if problem is not None or region is None:
            return problem or (
                "AWS: no region is known; name it in the step, or set SIDESTEP_PROVIDERS__AWS__REGION."
            )
        base = self._base(region)
        quoted = function.text.replace(":", "%3A").replace("$", "%24")
        path = f"{base.path}/2015-03-31/functions/{quoted}/invocations"
        host = str(base.origin).split("://", 1)[1]
        endpoint = Endpoint.of(URL(f"{base.origin}{path}", encoded=True), plain_headers())
        return _Route(region, endpoint, host, canonical_path(path))

    def _foreign(self, function: FunctionName, target: Target, region: str | None) -> str | None:
        config = self._config
        if region is not None and not is_region(region):
            return "AWS: the region is not the name of a region, like eu-west-1."
        if function.region and target.region and function.region != target.region:
            return "AWS: the ARN names another region than the step does."
        if config.regions and region is not None and region not in config.regions:
            return f"AWS: the region {region} is not among the configured regions."
        if config.accounts and function.account is not None and function.account not in config.accounts:
            return f"AWS: the account {function.account} is not among the configured accounts."
        return None

    async def _request(self, call: Call, route: _Route, content: bytes) -> Request | Outcome:
        signer = await self._signer(call.timeout_ms)
        if signer is None:
            return outcomes.no_credentials(_NO_CREDENTIALS)
        custom = {
            "idempotency-key": call.idempotency_key,
            "sidestep-attempt": str(call.attempt),
            "sidestep-not-after": str(call.not_after_ms),
            "traceparent": call.traceparent,
        }
        if call.callback_token is not None:
            custom |= {name.lower(): value for name, value in callback(call).items()}
        context = {"custom": custom}
        headers = signer.headers(
            region=route.region,
            host=route.host,
            path=route.path,
            extra=(("x-amz-client-context", base64.b64encode(_encode(context)).decode()),),
            body=content,
            now=self._clock() + self._skew,
        )
        secrets = (signer.keys.token,) if signer.keys.token else ()
        return Request(route.endpoint, headers, secrets, signer)

    async def poll(self, target: Target, location: str, timeout_ms: int) -> Outcome:  # noqa: ARG002  see below
        """Never: what Lambda answers has no address of its own."""
        return outcomes.refused("AWS: a Lambda function's answer has no Location that could be asked.")

    async def _signer(self, timeout_ms: int) -> Signer | None:
        if self._fixed is not None or self._fresh is None:
            return self._fixed
        return self._fresh.current or await self._fresh.get(timeout_ms / 1000)

    async def _probe(self, route: _Route, timeout_ms: int) -> Outcome:
        """Invoke as a dry run: Lambda checks name, parameters and rights, answers 204, and runs nothing.

        Signed as a call is, so it also shows whether the credentials are good, and refreshes bad ones.
        """
        started = time.monotonic()
        signer = await self._signer(timeout_ms)
        left_ms = timeout_ms - int((time.monotonic() - started) * 1000)
        if signer is None or left_ms <= 0:
            return outcomes.no_credentials(_NO_CREDENTIALS)
        headers = signer.headers(
            region=route.region,
            host=route.host,
            path=route.path,
            extra=(),
            late=(("x-amz-invocation-type", "DryRun"),),
            body=_NOTHING,
            now=self._clock() + self._skew,
        )
        secrets = (signer.keys.token,) if signer.keys.token else ()
        request = Request(route.endpoint, headers, secrets, signer)
        reply = await self._client.post(request.endpoint, headers, _NOTHING, timeout_ms=left_ms, fresh=True)
        return reply if isinstance(reply, Outcome) else self._classify(reply, request, route)

    def _classify(self, reply: Reply, request: Request, route: _Route) -> Outcome:  # noqa: ARG002  same for all
        outcome = classify(reply, request.secrets)
        if outcome.scope is not Scope.CREDENTIALS:
            return outcome
        # Both are done, whatever the first says: a new key helps, and so does the right time.
        renewed = self._fresh is not None and self._fresh.refuse(request.credential)
        corrected = self._correct_clock(reply)
        return msgspec.structs.replace(outcome, retry_here=renewed or corrected)

    def _correct_clock(self, reply: Reply) -> bool:
        """Follow AWS's clock where ours is off: a signature of another time is refused.

        True where the correction changed.
        """
        theirs = outcomes.date_seconds(reply.headers.get("Date"))
        if theirs is None or abs(theirs - (self._clock() + self._skew)) < _SKEW_SECONDS:
            return False
        self._skew = theirs - self._clock()
        return True
