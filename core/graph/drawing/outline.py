"""Reading a workflow into a picture: which step stands in which group, and what leads where."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import assert_never

from core.graph.drawing import labels
from core.graph.drawing.parts import Drawing, Edge, EdgeKind, Group, GroupKind, Node
from core.graph.model import (
    ChoiceStep,
    FailStep,
    MapStep,
    ParallelStep,
    PassStep,
    Step,
    SucceedStep,
    TaskStep,
    WaitStep,
    Workflow,
    WorkflowStep,
)

TITLE = 120
"""Characters of a step's name that a picture keeps; what writes it may show fewer."""


def outline(workflow: Workflow) -> Drawing:
    """The picture of a workflow: each step once, in the group of its scope.

    The branches of a PARALLEL are groups of their own in its group, unless they share steps. Takes time
    linear in the definition.
    """
    return _Outline(workflow).drawing()


def onward(step: Step) -> Iterator[tuple[str, EdgeKind, str]]:
    """Where a step leads within its scope: the target's id, how, and what to write beside it."""
    if isinstance(step, ChoiceStep):
        for choice in step.choices:
            yield choice.next, "choice", labels.condition(choice.condition)
        for asked in step.rules:
            yield asked.next, "choice", labels.rule(asked)
        if step.default is not None:
            yield step.default, "default", "otherwise"
    elif step.next is not None:
        yield step.next, "next", ""
    for catcher in step.catch:
        yield catcher.next, "catch", labels.errors(catcher)


def openings(step: Step) -> tuple[str, ...]:
    """The first step of each scope that a step opens."""
    match step:
        case ParallelStep():
            return step.branches
        case MapStep():
            return (step.first,)
        case (
            TaskStep() | WorkflowStep() | ChoiceStep() | PassStep() | WaitStep() | SucceedStep() | FailStep()
        ):
            return ()
        case _:
            assert_never(step)


def _compensation(step: Step) -> str | None:
    return step.compensate if isinstance(step, TaskStep | ParallelStep | MapStep | WorkflowStep) else None


@dataclass(slots=True)
class _Outline:
    """Finds the group of every step from the outside in, then writes nodes and edges down."""

    workflow: Workflow
    groups: list[Group] = field(default_factory=list)
    parents: dict[str, str | None] = field(default_factory=dict)
    places: dict[str, str | None] = field(default_factory=dict)
    """The group of each step that was found; the main line's is None."""
    own: dict[str, str] = field(default_factory=dict)
    """The group of each step that opens one."""
    inside: dict[str, list[str]] = field(default_factory=dict)
    """For each step that opens scopes, the group in which each of its openings begins."""
    names: dict[str, str] = field(default_factory=dict)

    def drawing(self) -> Drawing:
        steps = self.workflow.steps
        self.names = {step: f"n{number}" for number, step in enumerate(steps, 1)}
        self._enter(self.workflow.start_at, None)
        undoing = [
            found for found in map(_compensation, steps.values()) if found and found not in self.places
        ]
        if undoing:
            group = self._group("compensation", "compensation", None, None)
            for first in undoing:
                self._enter(first, group)
        for left_over in steps:
            self._enter(left_over, None)
        nodes, edges = self._marked()
        title = self.workflow.name or self.workflow.id
        return Drawing(title=labels.plain(title, TITLE), nodes=nodes, edges=edges, groups=tuple(self.groups))

    def _group(self, kind: GroupKind, title: str, parent: str | None, head: str | None) -> str:
        name = f"g{len(self.groups) + 1}"
        self.parents[name] = parent
        self.groups.append(Group(id=name, kind=kind, title=title, parent=parent, head=head))
        return name

    def _enter(self, first: str, group: str | None) -> None:
        """Place all that is reached from `first` and not placed yet, and what that opens."""
        openers = self._claim(first, group)
        while openers:
            opener = openers.pop()
            openers += reversed(self._open(opener))

    def _claim(self, first: str, group: str | None) -> list[str]:
        """Place what is reached from `first` along the flow in `group`; the steps among it that open scopes.

        Those stand in a group of their own, whose parent `group` is.
        """
        steps = self.workflow.steps
        openers = []
        ready = [first]
        while ready:
            here = ready.pop()
            if here in self.places or here not in steps:
                continue
            step = steps[here]
            self.places[here] = group
            if isinstance(step, ParallelStep | MapStep):
                title = labels.plain(here, TITLE)
                kind: GroupKind = "parallel" if isinstance(step, ParallelStep) else "map"
                self.own[here] = self._group(kind, title, group, self.names[here])
                self.places[here] = self.own[here]
                openers.append(here)
            ready += reversed([target for target, _, _ in onward(step)])
        return openers

    def _open(self, opener: str) -> list[str]:
        """Place the scopes of one step; the steps in them that open scopes again."""
        step = self.workflow.steps[opener]
        firsts = openings(step)
        own = self.own[opener]
        apart = isinstance(step, ParallelStep) and self._apart(firsts)
        found: list[str] = []
        for number, first in enumerate(firsts, 1):
            group = self._group("branch", f"branch {number}", own, None) if apart else own
            self.inside.setdefault(opener, []).append(group)
            found += self._claim(first, group)
        return found

    def _apart(self, firsts: tuple[str, ...]) -> bool:
        """True where no step is reached from two of the branches."""
        seen: dict[str, int] = {}
        for number, first in enumerate(firsts):
            ready = [first]
            while ready:
                here = ready.pop()
                if here in self.places or here not in self.workflow.steps:
                    return False
                if here in seen:
                    if seen[here] != number:
                        return False
                    continue
                seen[here] = number
                ready += [target for target, _, _ in onward(self.workflow.steps[here])]
        return True

    def _marked(self) -> tuple[tuple[Node, ...], tuple[Edge, ...]]:
        steps = self.workflow.steps
        nodes = [Node(id="start", kind="start")]
        edges = []
        if self.workflow.start_at in steps:
            edges.append(Edge(source="start", target=self.names[self.workflow.start_at], kind="start"))
        ends: dict[str | None, str] = {}
        for name, step in steps.items():
            tag = type(step).__struct_config__.tag
            nodes.append(
                Node(
                    id=self.names[name],
                    kind=tag,  # type: ignore[arg-type]  # the tags of steps are kinds of nodes
                    step=name,
                    title=labels.plain(name, TITLE),
                    notes=labels.notes(step),
                    group=self.places[name],
                )
            )
            edges += self._edges(name, step)
            if _may_end(step):
                group = self._scope(name)
                if group not in ends:
                    ends[group] = "end" if group is None else f"end-{group}"
                edges.append(Edge(source=self.names[name], target=ends[group], kind="end"))
        for branch in self.groups:
            # A branch's end leads to the end of all branches.
            if branch.kind == "branch" and branch.id in ends:
                joined = ends.setdefault(branch.parent, f"end-{branch.parent}")
                edges.append(Edge(source=ends[branch.id], target=joined, kind="end"))
        nodes += [Node(id=mark, kind="end", group=group) for group, mark in ends.items()]
        return tuple(nodes), tuple(edges)

    def _scope(self, name: str) -> str | None:
        """The group of the scope in which a step runs: for one that opens scopes, its group's parent."""
        return self.parents[self.own[name]] if name in self.own else self.places[name]

    def _edges(self, name: str, step: Step) -> Iterator[Edge]:
        source = self.names[name]
        many = len(openings(step)) > 1
        groups = self.inside.get(name, [])
        for number, first in enumerate(openings(step), 1):
            if first in self.names:
                own = groups[number - 1] != self.places[name]
                label = f"branch {number}" if many and not own else ""
                yield Edge(source=source, target=self.names[first], kind="branch", label=label)
        for target, kind, label in onward(step):
            if target in self.names:
                yield Edge(source=source, target=self.names[target], kind=kind, label=label)
        undo = _compensation(step)
        if undo in self.names:
            yield Edge(source=source, target=self.names[undo], kind="compensate", label="compensated by")


def _may_end(step: Step) -> bool:
    """Whether the scope can end after this step, other than by an error of its own."""
    return not isinstance(step, ChoiceStep | FailStep) and step.next is None
