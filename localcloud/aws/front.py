"""Lambda's front: `Invoke` and `GetFunction` over signed REST requests."""

import base64
import binascii
import json
import re
import time
import uuid
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote

from localcloud import metadata, raising
from localcloud.aws import runtime
from localcloud.aws.errors import FAULTS, AwsError, fault
from localcloud.aws.functions import LambdaFunction
from localcloud.aws.sigv4 import SigV4
from localcloud.executor import Call, Executor, Reply
from localcloud.metadata import Metadata
from localcloud.settings import AwsSettings
from localcloud.vendor import FaultOptions, Faults, ProviderName

_PREFIX = "/2015-03-31/functions/"
_MAX_PAYLOAD = 6_291_456  # bytes: 6 MB, Lambda's quota for a synchronous invocation
_MAX_CLIENT_CONTEXT = 3_583  # bytes, before base64
_NAME = re.compile(
    r"(?:arn:aws[a-zA-Z-]*:lambda:)?(?:(?P<region>[a-z]{2}(?:-[a-z]+)+-\d):)?(?:(?P<account>\d{12}):)?"
    r"(?:function:)?(?P<name>[a-zA-Z0-9_-]{1,64})(?::(?P<qualifier>\$LATEST|[a-zA-Z0-9_-]{1,128}))?"
)
_STARTED = datetime.fromtimestamp(0, UTC).strftime("%Y-%m-%dT%H:%M:%S.000+0000")


class _Named(NamedTuple):
    """A function as a caller named it."""

    region: str | None
    account: str | None
    name: str
    qualifier: str | None


class AwsFront:
    """Implements `localcloud.vendor.Vendor`."""

    provider: ProviderName = "AWS"
    faults: Faults = FAULTS
    max_body = _MAX_PAYLOAD

    def __init__(
        self, settings: AwsSettings, functions: dict[str, LambdaFunction], executor: Executor
    ) -> None:
        self.executor = executor
        self._settings = settings
        self._functions = functions
        self._sigv4 = SigV4(settings.region, settings.credentials)

    @property
    def functions(self) -> tuple[str, ...]:
        """The names of the functions that it has."""
        return tuple(sorted(self._functions))

    def function_of(self, call: Call) -> str | None:
        """The function that a request invokes; None if it is no invocation."""
        if not call.path.startswith(_PREFIX) or not call.path.endswith("/invocations"):
            return None
        named = _NAME.fullmatch(unquote(call.path[len(_PREFIX) : -len("/invocations")]))
        return named["name"] if named else None

    async def answer(self, call: Call) -> Reply:
        """Verify the signature, then invoke or describe."""
        request_id = str(uuid.uuid4())
        try:
            self._sigv4.verify(call)
            match call.method, call.path.removeprefix(_PREFIX).split("/"):
                case "POST", [quoted, "invocations"] if call.path.startswith(_PREFIX):
                    return await self._invoke(call, unquote(quoted), request_id)
                case "GET", [quoted] if call.path.startswith(_PREFIX):
                    return self._describe(call, unquote(quoted), request_id)
                case _:
                    return AwsError("UnknownOperationException", "No such operation here.").reply(request_id)
        except AwsError as error:
            return error.reply(request_id)

    def fault(self, name: str, options: FaultOptions) -> Reply:
        """One of AWS's errors by name."""
        return fault(name, options)

    def too_large(self) -> Reply:
        """Lambda's answer to more than 6 MB."""
        return AwsError(
            "RequestTooLargeException",
            f"Request must be smaller than {_MAX_PAYLOAD} bytes for the InvokeFunction operation",
        ).reply()

    async def stop(self, grace: float) -> None:
        """End its threads."""
        await self.executor.stop(grace)

    async def _invoke(self, call: Call, given: str, request_id: str) -> Reply:
        function, named, version = self._find(call, given)
        invocation = call.headers.get("X-Amz-Invocation-Type", "RequestResponse")
        if invocation not in ("RequestResponse", "Event", "DryRun"):
            raise AwsError("InvalidParameterValueException", f"Unknown invocation type: {invocation[:100]}")
        event = _event(call.body)
        client_context = _client_context(call.headers.get("X-Amz-Client-Context"))
        headers = {"Content-Type": "application/json", "x-amzn-RequestId": request_id}
        if invocation == "DryRun":
            return Reply(204, headers)
        if function.fault is not None:
            return fault(function.fault, FaultOptions())
        context = runtime.LambdaContext(
            function_name=named.name,
            function_version=version,
            invoked_function_arn=self._arn(named.name, named.qualifier),
            aws_request_id=request_id,
            client_context=client_context,
            timeout_seconds=function.timeout_seconds or self._settings.timeout_seconds,
        )
        if invocation == "Event":
            # Nobody waits for it, so it is a call of its own. Lambda's two later tries are not made.
            alone = replace(call)
            self.executor.spawn(self._run_alone(alone, function, event, context))
            return Reply(202, headers)
        headers["X-Amz-Executed-Version"] = version
        started = time.monotonic()
        reply = await self._run(call, function, event, context)
        if call.headers.get("X-Amz-Log-Type") == "Tail":
            headers["X-Amz-Log-Result"] = _log_tail(request_id, version, reply, time.monotonic() - started)
        return Reply(reply.status, headers | dict(reply.headers), reply.body)

    async def _run(
        self, call: Call, function: LambdaFunction, event: Any, context: runtime.LambdaContext
    ) -> Reply:
        handler = function.handler
        if handler is None:  # `_invoke` has answered a function that is a fault
            raise AwsError("ServiceException", "The function has no code.")
        if call.raises is not None:
            handler = raising.lambda_handler(call.raises)
        custom = context.client_context.custom if context.client_context else {}
        values: Metadata = metadata.read({str(key).lower(): value for key, value in custom.items()})
        try:
            return await self.executor.execute(
                call,
                function.name,
                values,
                lambda: runtime.run(handler, event, context),
                context.timeout_seconds,
            )
        except TimeoutError:
            self.executor.abandon(call)
            return runtime.timed_out(context)

    async def _run_alone(
        self, call: Call, function: LambdaFunction, event: Any, context: runtime.LambdaContext
    ) -> None:
        try:
            await self._run(call, function, event, context)
        finally:
            self.executor.lose(call)

    def _find(self, call: Call, given: str) -> tuple[LambdaFunction, _Named, str]:
        matched = _NAME.fullmatch(given)
        if matched is None:
            raise AwsError(
                "ValidationException",
                f"1 validation error detected: Value '{given[:200]}' at 'functionName' failed to satisfy "
                "constraint: Member must satisfy regular expression pattern of a function name or ARN",
            )
        named = _Named(*matched.group("region", "account", "name", "qualifier"))
        wanted = parse_qs(call.query).get("Qualifier", [None])[0]
        if wanted is not None and named.qualifier not in (None, wanted):
            raise AwsError(
                "InvalidParameterValueException",
                "The derived qualifier from the function name does not match the specified qualifier.",
            )
        named = named._replace(qualifier=named.qualifier or wanted)
        arn = self._arn(named.name, named.qualifier)
        here = named.region in (None, self._settings.region) and named.account in (
            None,
            self._settings.account,
        )
        function = self._functions.get(named.name)
        if function is None or not here:
            raise AwsError("ResourceNotFoundException", f"Function not found: {arn}")
        if named.qualifier in (None, "$LATEST"):
            return function, named, "$LATEST"
        version = function.aliases.get(named.qualifier or "")
        if version is None and named.qualifier in function.aliases.values():
            version = named.qualifier
        if version is None:
            raise AwsError("ResourceNotFoundException", f"Cannot find alias arn: {arn}")
        return function, named, version

    def _describe(self, call: Call, given: str, request_id: str) -> Reply:
        function, named, version = self._find(call, given)
        body = {
            "Configuration": {
                "FunctionName": function.name,
                "FunctionArn": self._arn(function.name, named.qualifier),
                "Runtime": "python3.11",
                "Role": f"arn:aws:iam::{self._settings.account}:role/localcloud",
                "Handler": "lambda_function.lambda_handler",
                "Timeout": int(function.timeout_seconds or self._settings.timeout_seconds),
                "MemorySize": 128,
                "LastModified": _STARTED,
                "Version": version,
                "State": "Active",
                "LastUpdateStatus": "Successful",
                "PackageType": "Zip",
                "Architectures": ["x86_64"],
            },
            "Code": {"RepositoryType": "localcloud"},
        }
        headers = {"Content-Type": "application/json", "x-amzn-RequestId": request_id}
        return Reply(200, headers, json.dumps(body).encode())

    def _arn(self, name: str, qualifier: str | None) -> str:
        arn = f"arn:aws:lambda:{self._settings.region}:{self._settings.account}:function:{name}"
        return f"{arn}:{qualifier}" if qualifier else arn


def _event(body: bytes) -> Any:
    if not body:
        return {}
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise AwsError(
            "InvalidRequestContentException",
            f"Could not parse request body into json: {type(error).__name__}: {str(error)[:200]}",
        ) from None


def _client_context(header: str | None) -> runtime.ClientContext | None:
    if header is None:
        return None
    try:
        raw = base64.b64decode(header, validate=True)
        value = json.loads(raw)
    except (binascii.Error, ValueError, RecursionError):
        raw, value = b"", None
    if len(raw) > _MAX_CLIENT_CONTEXT:
        raise AwsError(
            "InvalidRequestContentException",
            f"Client context must be no more than {_MAX_CLIENT_CONTEXT} bytes when decoded.",
        )
    if not isinstance(value, dict) or not isinstance(value.get("custom", {}), dict):
        raise AwsError(
            "InvalidRequestContentException", "Client context must be a valid Base64-encoded JSON object."
        )
    return runtime.ClientContext(value.get("custom", {}), value.get("env", {}), value.get("client"))


def _log_tail(request_id: str, version: str, reply: Reply, seconds: float) -> str:
    lines = [f"START RequestId: {request_id} Version: {version}"]
    if "X-Amz-Function-Error" in reply.headers:
        lines.append(f"[ERROR] {reply.body.decode(errors='replace')}")
    took = seconds * 1000
    lines.append(f"END RequestId: {request_id}")
    lines.append(
        f"REPORT RequestId: {request_id}\tDuration: {took:.2f} ms\tBilled Duration: {int(took) + 1} ms"
        "\tMemory Size: 128 MB\tMax Memory Used: 64 MB"
    )
    return base64.b64encode("\n".join(lines).encode()[-4096:]).decode()
