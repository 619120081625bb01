"""Hypothesis strategies for whole definitions: random, valid, and always able to end."""

from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

Document = dict[str, Any]

PROVIDERS = ("AWS", "GCP", "AZURE", "HTTP")


@st.composite
def workflows(
    draw: st.DrawFn, *, max_depth: int = 2, max_segments: int = 4, max_branches: int = 3, loops: bool = True
) -> Document:
    """A valid native definition with steps of every type.

    Every walk ends: a loop goes round once more than it is entered, by a flag of its own that PASS steps
    set, provided that no task's output has a member named `again-...`. Functions are named `fn-` and the
    step's id, fallbacks included, unless an entry of `fallbacks` names one `alt-` and the id. Waits and
    backoffs take at most 20 ms, attempts time out after 100 ms to 5 s. No two steps share an id.
    """
    builder = _Builder(draw, max_segments, max_branches, max_depth, loops)
    start = builder.scope(0, None)
    document: Document = {"id": "random", "startAt": start, "steps": draw(st.permutations(builder.steps))}
    if draw(st.booleans()):
        document["timeoutSeconds"] = draw(st.integers(60, 600))
    return document


_EFFECTS = st.sampled_from((None, "pure", "idempotent", "atMostOnce"))

_RETRIES: st.SearchStrategy[Any] = st.one_of(
    st.integers(0, 2),
    st.builds(
        lambda attempts, interval, jitter: {
            "maxAttempts": attempts,
            "intervalSeconds": interval,
            "maxDelaySeconds": 0.02,
            "jitter": jitter,
        },
        st.integers(0, 2),
        st.sampled_from((0, 0.01)),
        st.sampled_from(("full", "none", True, False)),
    ),
    st.just(
        [
            {"errors": ["Boom"], "maxAttempts": 1, "intervalSeconds": 0.01},
            {"maxAttempts": 1, "maxDelaySeconds": 0},
        ]
    ),
)

_CONDITIONS: st.SearchStrategy[Document] = st.sampled_from(
    (
        {"variable": "total", "operator": "gt", "value": 10},
        {"variable": "order.items.0.sku", "operator": "eq", "value": "book"},
        {"variable": "error.error", "operator": "exists"},
        {"variable": "tags", "operator": "contains", "value": "new"},
        {"variable": "name", "operator": "matches", "value": "^a+"},
        {"not": {"variable": "kind", "operator": "in", "value": ["a", "b"]}},
        {
            "and": [
                {"variable": "n", "operator": "gte", "value": 1},
                {"variable": "n", "operator": "lt", "value": 5},
            ]
        },
        {
            "or": [
                {"variable": "n", "operator": "ne", "value": 3},
                {"variable": "m", "operator": "lte", "value": 0},
            ]
        },
    )
)


@dataclass(slots=True)
class _Builder:
    draw: st.DrawFn
    max_segments: int
    max_branches: int
    max_depth: int
    loops: bool
    steps: list[Document] = field(default_factory=list)
    count: int = 0

    def scope(self, depth: int, after: str | None) -> str:
        """Build one scope that ends, or goes on at `after`; the id of its first step."""
        following = after
        for last in [True] + [False] * self.draw(st.integers(0, self.max_segments - 1)):
            following = self._segment(depth, following, last=last and after is None)
        assert following is not None
        return following

    def _segment(self, depth: int, following: str | None, *, last: bool) -> str:
        kinds = ["TASK", "TASK", "PASS", "WAIT", "CHOICE"]
        if depth < self.max_depth:
            kinds += ["PARALLEL", "MAP"]
        if self.loops:
            kinds.append("LOOP")
        if last:
            kinds += ["SUCCEED", "FAIL"]
        match self.draw(st.sampled_from(kinds)):
            case "TASK":
                return self._task(following)
            case "PASS":
                return self._add("PASS", following, result={"seen": self.draw(st.integers(0, 20))})
            case "WAIT":
                if self.draw(st.booleans()):
                    return self._add("WAIT", following, until="2020-02-29T12:00:00.250+01:00")
                return self._add("WAIT", following, seconds=self.draw(st.sampled_from((0, 0.01))))
            case "CHOICE":
                return self._choice(following)
            case "PARALLEL":
                return self._parallel(depth, following)
            case "MAP":
                return self._map(depth, following)
            case "LOOP":
                return self._loop(following)
            case "FAIL":
                return self._add("FAIL", None, error="Boom", cause="as asked")
            case _:
                return self._add("SUCCEED", None)

    def _task(self, following: str | None) -> str:
        name = self._name()
        task: Document = {
            "provider": self.draw(st.sampled_from(PROVIDERS)),
            "functionId": f"fn-{name}",
            "timeout": self.draw(st.integers(100, 5_000)),
        }
        others = self.draw(st.permutations([one for one in PROVIDERS if one != task["provider"]]))
        if self.draw(st.booleans()):
            task["fallbackProvider"] = others[0]
        if self.draw(st.booleans()):
            task["fallbacks"] = [
                {"provider": others[1]},
                {"provider": task["provider"], "functionId": f"alt-{name}", "region": "elsewhere"},
            ][: self.draw(st.integers(1, 2))]
        effects = self.draw(_EFFECTS)
        once = effects == "atMostOnce"
        if effects is not None:
            task["effects"] = effects
        if effects == "pure" and ("fallbackProvider" in task or task.get("fallbacks")):
            task["hedge"] = self.draw(st.booleans())
        settle = self.draw(
            st.sampled_from((None, "park", "fail") if once else (None, "failover", "park", "fail"))
        )
        if settle is not None:
            task["onAmbiguous"] = settle
        if not once and self.draw(st.booleans()):
            task["failoverOn"] = ["functionError"]
        if self.draw(st.booleans()):
            task["retries"] = self.draw(_RETRIES)
        if self.draw(st.booleans()):
            task["deadline"] = task["timeout"] * self.draw(st.integers(1, 4))
        if self.draw(st.integers(0, 3)) == 0:
            task["input"] = {"only": "$", "text": "of a template"}
        if self.draw(st.booleans()):
            task["catch"] = self._catch(following)
        return self._add("TASK", following, name=name, **task)

    def _catch(self, following: str | None) -> list[Document]:
        handler = self._add("PASS", following, result={"handled": True})
        catchers: list[Document] = [{"errors": ["Boom"], "next": handler, "resultPath": "caught.boom"}]
        if self.draw(st.booleans()):
            catchers.append({"next": following or handler})
        return catchers

    def _choice(self, following: str | None) -> str:
        choices = []
        for _ in range(self.draw(st.integers(1, 2))):
            target = self._task(following) if following is None or self.draw(st.booleans()) else following
            choices.append({**self.draw(_CONDITIONS), "next": target})
        if following is None or self.draw(st.booleans()):
            return self._add("CHOICE", None, choices=choices, default=self._add("PASS", following))
        return self._add("CHOICE", None, choices=choices, default=following)

    def _parallel(self, depth: int, following: str | None) -> str:
        shared = self._task(None) if self.draw(st.booleans()) else None
        count = self.draw(st.integers(1, self.max_branches))
        branches = [self.scope(depth + 1, shared) for _ in range(count)]
        extra: Document = {"catch": self._catch(following)} if self.draw(st.booleans()) else {}
        return self._add("PARALLEL", following, branches=branches, **extra)

    def _map(self, depth: int, following: str | None) -> str:
        rows = f"rows-{self.count}"
        extra: Document = {"catch": self._catch(following)} if self.draw(st.booleans()) else {}
        for name, values in (
            ("maxConcurrency", st.integers(1, 3)),
            ("toleratedFailures", st.integers(1, 2)),
            ("results", st.sampled_from(("inline", "reference"))),
            ("retries", st.integers(0, 1)),
        ):
            if self.draw(st.booleans()):
                extra[name] = self.draw(values)
        if self.draw(st.booleans()):
            extra["input"] = {"given": self.draw(st.integers(0, 3))}
        each = self._add("MAP", following, items=rows, each=self.scope(depth + 1, None), **extra)
        return self._add("PASS", each, result={rows: [None] * self.draw(st.integers(0, 3))})

    def _loop(self, following: str | None) -> str:
        flag = f"again-{self.count}"
        body, ask, once_more = self._name(), self._name(), self._name()
        out = following or self._add("SUCCEED", None)
        self._add(
            "TASK", ask, name=body, provider="HTTP", functionId=f"fn-{body}", effects="pure", timeout=500
        )
        again = {"variable": flag, "operator": "eq", "value": True, "next": once_more}
        self._add("CHOICE", None, name=ask, choices=[again], default=out)
        self._add("PASS", body, name=once_more, result={flag: False})
        return self._add("PASS", body, result={flag: True})

    def _add(self, kind: str, following: str | None, *, name: str | None = None, **members: Any) -> str:
        step: Document = {"id": name or self._name(), "type": kind, **members}
        if following is not None:
            step["next"] = following
        self.steps.append(step)
        return str(step["id"])

    def _name(self) -> str:
        self.count += 1
        return f"s{self.count}"
