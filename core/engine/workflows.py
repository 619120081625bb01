"""Definitions as callers see them: read, checked against what is configured, registered by version."""

from collections.abc import Mapping

from core.engine.definitions import Definitions
from core.engine.read_once import ReadOnce
from core.errors import InvalidDefinition, Problem
from core.failover.health import Health
from core.graph.model import Target, TaskStep, Workflow
from core.graph.reading import check, place_of, read_workflow, under_id
from core.ports.clock import Clock
from core.ports.health import HealthBoard
from core.ports.provider import Provider
from core.ports.store import Store, WorkflowVersion


class Workflows:
    """Reads, checks and registers definitions."""

    def __init__(
        self,
        store: Store,
        definitions: Definitions,
        providers: Mapping[str, Provider],
        board: HealthBoard,
        clock: Clock,
    ) -> None:
        self._store = store
        self._definitions = definitions
        self._providers = providers
        self._board = board
        self._clock = clock
        self._reader = ReadOnce()

    def known(self) -> Health:
        """What is known of the targets: what a thread needs that reads or validates a definition."""
        return self._board.view()

    def read(
        self,
        document: object,
        known: Health | None = None,
        workflow_id: str | None = None,
        text: bytes | None = None,
    ) -> Workflow:
        """The workflow that a document describes and that can run here. Raises InvalidDefinition.

        In a thread it needs what is `known`, since the board is for the event loop's alone. A document whose
        language knows no ids goes by `workflow_id`, or else by its digest. With the `text` that the document
        was decoded from, `read_before` knows it afterwards.
        """
        workflow = self._reader.read(document)
        if workflow_id is not None:
            workflow = under_id(workflow, workflow_id)
        self._refuse_unreachable(workflow, known)
        if text is not None and workflow_id is None:
            self._reader.learn(text, workflow)
        return workflow

    def read_before(self, text: bytes) -> Workflow | None:
        """What `read` gave for a document of exactly this text, not long ago. It can still run here: what is
        configured, and where calls may go, stays as it is while a process lives.
        """
        return self._reader.known(text)

    def validate(self, document: object, known: Health | None = None) -> tuple[Problem, ...]:
        """Every problem and every hint; empty where all is well. Raises nothing. `known` is as for `read`."""
        problems = check(document)
        if any(problem.severity == "error" for problem in problems):
            return problems
        return (*problems, *self._unreachable(read_workflow(document), known))

    async def register(self, document: object, workflow_id: str | None = None) -> WorkflowVersion:
        """Keep a definition under its id, or `workflow_id` where its language knows none; the newest
        version's own content again is that version.
        """
        workflow = self.read(document, workflow_id=workflow_id)
        await self.prepare(workflow)
        return await self._store.put_workflow(
            workflow.id, workflow.digest, workflow.source, self._clock.now_ms()
        )

    async def registered(self, workflow_id: str, version: int | None = None) -> Workflow:
        """A registered workflow that can run here. Raises WorkflowNotFound, InvalidDefinition."""
        kept = await self._store.get_workflow(workflow_id, version)
        workflow = under_id(await self._definitions.get(kept.digest), workflow_id)
        self._refuse_unreachable(workflow)
        return workflow

    async def prepare(self, workflow: Workflow) -> None:
        """Have the providers resolve what they will need, before it is needed."""
        by_provider: dict[str, list[Target]] = {}
        for step in workflow.steps.values():
            if isinstance(step, TaskStep):
                for target in step.targets[1:] if step.dynamic_function else step.targets:
                    by_provider.setdefault(target.provider, []).append(target)
        for name, targets in by_provider.items():
            provider = self._providers.get(name)
            if provider is not None:
                await provider.prepare(tuple(dict.fromkeys(targets)))

    def _refuse_unreachable(self, workflow: Workflow, known: Health | None = None) -> None:
        problems = tuple(one for one in self._unreachable(workflow, known) if one.severity == "error")
        if problems:
            raise InvalidDefinition(problems)

    def _unreachable(self, workflow: Workflow, known: Health | None) -> list[Problem]:
        """Targets that can never be called from here, and steps that no configured provider can run."""
        health = self.known() if known is None else known
        problems = []
        for index, step in enumerate(workflow.steps.values()):
            if isinstance(step, TaskStep):
                problems.extend(self._of_step(place_of(workflow, step.id, index), step, health))
        return problems

    def _of_step(self, pointer: str, step: TaskStep, health: Health) -> list[Problem]:
        """A primary that cannot be called goes to its fallback, which must then be one that can be: nobody
        wants to learn of a mistyped fallback in an outage.
        """
        why_not = [
            # A function that only the payload names cannot be judged yet.
            health.refusal(target) if step.dynamic_function and not index else self._refusal(target, health)
            for index, target in enumerate(step.targets)
        ]
        if all(reason is not None for reason in why_not):
            told = "; ".join(f"{target}: {why}" for target, why in zip(step.targets, why_not, strict=True))
            return [
                Problem(
                    pointer,
                    "no-usable-target",
                    f"No target of step '{step.id}' can be called: {told}",
                    "Configure one of these providers, or name a function or a fallback that can be called.",
                )
            ]
        unconfigured = [
            Problem(
                pointer,
                "target-not-configured",
                f"The target {target} of step '{step.id}' is passed over: {why}",
                "Configure the provider here, or name a target at another one.",
                "hint",
            )
            for target in step.targets
            if (why := health.refusal(target)) is not None
        ]
        refused = [
            Problem(
                pointer,
                "target-refused",
                f"The target {target} can never be called from here: {why}",
                "Name a function of a configured origin, or configure that origin.",
                "hint" if index == 0 else "error",
            )
            for index, (target, why) in enumerate(zip(step.targets, why_not, strict=True))
            if why is not None and health.refusal(target) is None
        ]
        return unconfigured + refused

    def _refusal(self, target: Target, health: Health) -> str | None:
        unconfigured = health.refusal(target)
        provider = self._providers.get(target.provider)
        return unconfigured or (provider.check(target) if provider is not None else None)
