"""The control API: outages, the ledger, what is there. JSON over HTTP on the control port.

| call | answer |
|---|---|
| `GET /` | the providers: address, listening or not, functions |
| `GET /outages` | the active rules of every provider |
| `PUT /outages/{PROVIDER}` | starts a rule (see `rules.Rule`; same id: replaced); 400 lists every problem |
| `PUT /outages/{PROVIDER}` with a list | its rules from now on; what is active just so goes on |
| `PUT /outages` with `{PROVIDER: [rules]}` | the same for all; a provider that is not named has none |
| `DELETE /outages`, `/outages/{PROVIDER}`, `/outages/{PROVIDER}/{id}` | ends rules |
| `GET /ledger?provider=&function=&key=&after=&limit=` | runs, oldest first; `next` goes into `after` |
| `GET /ledger/summary` | exact counts, and the keys that ran more than once |
| `DELETE /ledger` | forgets everything |

An answer to a change of outages is sent when the sockets are already as the rules say.
"""

import asyncio
import ipaddress
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from localcloud.ledger import MAX_LIMIT, Ledger
from localcloud.names import name_of
from localcloud.outages import MAX_RULES, TooManyRulesError
from localcloud.reading import InvalidRuleError, parse, parse_set
from localcloud.rules import Rule
from localcloud.vendor import ProviderName
from localcloud.wire import Front

_MAX_BODY = 64 * 1024
_MAX_DIGITS = 15

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class _RefusedError(Exception):
    """A request that cannot be served."""

    def __init__(self, status: int, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.status = status
        self.problems = problems


class Control:
    """Routes over the fronts (by provider name) and the ledger. `hosts`: more names of this machine.

    `name_server` is where it is, as shown by `GET /`.
    """

    def __init__(
        self,
        fronts: Mapping[ProviderName, Front],
        ledger: Ledger,
        hosts: frozenset[str],
        name_server: Mapping[str, Any],
    ) -> None:
        self._fronts = fronts
        self._ledger = ledger
        self._hosts = hosts
        self._name_server = name_server

    def application(self) -> web.Application:
        """The API as an aiohttp application."""
        app = web.Application(client_max_size=_MAX_BODY, middlewares=[self._guard])
        app.add_routes(
            [
                web.get("/", self._index),
                web.get("/outages", self._list),
                web.put("/outages", self._put_all),
                web.delete("/outages", self._clear),
                web.put("/outages/{provider}", self._put),
                web.delete("/outages/{provider}", self._clear),
                web.delete("/outages/{provider}/{rule}", self._remove),
                web.get("/ledger", self._entries),
                web.get("/ledger/summary", self._summary),
                web.delete("/ledger", self._forget),
            ]
        )
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        if not self._is_own_name(request.host):
            # A page in a browser that rebinds its own name to this address gets no further.
            return _problem(421, ["this Host is not served; call it by address or as localhost"])
        try:
            return await handler(request)
        except _RefusedError as error:
            return _problem(error.status, error.problems)
        except web.HTTPException as error:
            return _problem(error.status, [error.text or error.reason])

    async def _index(self, _request: web.Request) -> web.StreamResponse:
        return web.json_response(
            {
                "providers": {
                    name: {
                        "port": front.port,
                        "listening": front.listening,
                        "name": name_of(name),
                        "tls": front.tls is not None,
                        "functions": list(front.vendor.functions),
                        "outages": front.outages.listed(),
                    }
                    for name, front in self._fronts.items()
                },
                "nameServer": dict(self._name_server),
            }
        )

    async def _list(self, _request: web.Request) -> web.StreamResponse:
        return web.json_response({name: front.outages.listed() for name, front in self._fronts.items()})

    async def _put(self, request: web.Request) -> web.StreamResponse:
        front = self._front(request)
        body = await _json(request)
        if isinstance(body, list):
            return web.json_response(await self._replace({front.vendor.provider: body}))
        try:
            rule = parse(body, front.vendor.faults, tls=front.tls is not None)
            front.outages.put(rule)
        except InvalidRuleError as error:
            raise _RefusedError(400, error.problems) from error
        except TooManyRulesError as error:
            raise _RefusedError(409, [str(error)]) from error
        await front.sync()
        return web.json_response(rule.as_json())

    async def _put_all(self, request: web.Request) -> web.StreamResponse:
        body = await _json(request)
        known = ", ".join(self._fronts)
        if not isinstance(body, dict) or not all(isinstance(rules, list) for rules in body.values()):
            raise _RefusedError(
                400, [f"the body must be a JSON object of lists of rules, by provider ({known})"]
            )
        unknown = sorted(set(body) - set(self._fronts))
        if unknown:
            raise _RefusedError(
                400, [f"unknown provider {name[:100]!r}; known are {known}" for name in unknown]
            )
        return web.json_response(await self._replace({name: body.get(name, []) for name in self._fronts}))

    async def _replace(self, sets: Mapping[ProviderName, list[Any]]) -> dict[str, Any]:
        """Read all sets before one of them is put in force."""
        read: dict[ProviderName, list[Rule]] = {}
        problems: list[str] = []
        for name, rules in sets.items():
            if len(rules) > MAX_RULES:
                raise _RefusedError(409, [f"{name}: {MAX_RULES} rules can be active; these are {len(rules)}"])
            try:
                front = self._fronts[name]
                read[name] = parse_set(rules, front.vendor.faults, tls=front.tls is not None)
            except InvalidRuleError as error:
                problems += [f"{name}: {problem}" for problem in error.problems]
        if problems:
            raise _RefusedError(400, problems)
        for name, own in read.items():
            self._fronts[name].outages.replace(own)
        await asyncio.gather(*(self._fronts[name].sync() for name in read))
        return {name: self._fronts[name].outages.listed() for name in read}

    async def _clear(self, request: web.Request) -> web.StreamResponse:
        fronts = [self._front(request)] if "provider" in request.match_info else list(self._fronts.values())
        ended = 0
        for front in fronts:
            ended += front.outages.clear()
            await front.sync()
        return web.json_response({"ended": ended})

    async def _remove(self, request: web.Request) -> web.StreamResponse:
        front, rule = self._front(request), request.match_info["rule"]
        if not front.outages.remove(rule):
            raise _RefusedError(404, ["no active rule has this id; GET /outages lists them"])
        await front.sync()
        return web.json_response({"ended": 1})

    async def _entries(self, request: web.Request) -> web.StreamResponse:
        query = request.query
        unknown = sorted(set(query) - {"provider", "function", "key", "after", "limit"})
        problems = [f"unknown parameter {name[:100]!r}" for name in unknown]
        provider = query.get("provider")
        if provider is not None and provider not in self._fronts:
            problems.append(f"provider must be one of {', '.join(self._fronts)}")
        after = _whole(query, "after", 0, 10**_MAX_DIGITS, problems)
        limit = _whole(query, "limit", 100, MAX_LIMIT, problems)
        if problems:
            raise _RefusedError(400, problems)
        runs = self._ledger.entries(
            provider=provider, function=query.get("function"), key=query.get("key"), after=after, limit=limit
        )
        return web.json_response(
            {
                "entries": [run.as_json() for run in runs],
                "next": runs[-1].sequence if limit and len(runs) == limit else None,
                "droppedEntries": self._ledger.dropped(),
            }
        )

    async def _summary(self, _request: web.Request) -> web.StreamResponse:
        return web.json_response(self._ledger.summary())

    async def _forget(self, _request: web.Request) -> web.StreamResponse:
        self._ledger.clear()
        return web.json_response({})

    def _front(self, request: web.Request) -> Front:
        for provider, front in self._fronts.items():
            if provider == request.match_info["provider"]:
                return front
        raise _RefusedError(404, [f"the provider must be one of {', '.join(self._fronts)}"])

    def _is_own_name(self, host: str) -> bool:
        name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
        name = name.strip("[]").lower()
        if name == "localhost" or name in self._hosts:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True


async def _json(request: web.Request) -> Any:
    try:
        return json.loads(await request.read())
    except (ValueError, RecursionError):
        raise _RefusedError(400, ["the body is not JSON"]) from None


def _whole(query: Mapping[str, str], name: str, default: int, highest: int, problems: list[str]) -> int:
    text = query.get(name)
    if text is None:
        return default
    if text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS and int(text) <= highest:
        return int(text)
    problems.append(f"{name} must be a whole number from 0 to {highest}")
    return default


def _problem(status: int, problems: list[str]) -> web.Response:
    body: dict[str, Any] = {"error": "; ".join(problems), "problems": problems}
    return web.json_response(body, status=status)
