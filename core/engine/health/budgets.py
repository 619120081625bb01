"""The engine's budgets of retries (for each provider) and hedges, and whether they allow another one."""

from collections import defaultdict

from core.failover.budget import Budget
from core.failover.settings import FailoverSettings


class Budgets:
    """`hedges` and `may_retry` say what held at the last look: after a token is taken, and at every tick. So
    what calls earn is counted up, and paid in then.
    """

    def __init__(self, settings: FailoverSettings) -> None:
        self._settings = settings
        self._retries: dict[str, Budget] = {}
        self._may: dict[str, bool] = {}
        self._calls: defaultdict[str, int] = defaultdict(int)
        self._hedges = Budget(settings.hedge_share, 0, settings.retry_seconds)
        self.hedges = False

    def called(self, provider: str) -> None:
        """A call of the ordinary kind is sent: it earns a part of a retry, and of a hedge."""
        self._calls[provider] += 1

    def may_retry(self, provider: str) -> bool:
        """Whether another retry at this provider is allowed."""
        return self._may.get(provider, True)

    def retried(self, provider: str, now: int) -> bool:
        """A retry was decided; whether that changed what is allowed."""
        self._pay_in(now)
        budget = self._retries.get(provider)
        if budget is None:
            return False
        budget.take(now)
        return self._look(provider, budget, now)

    def hedged(self, now: int) -> bool:
        """A hedge was decided; whether that changed what is allowed."""
        self._pay_in(now)
        self._hedges.take(now)
        return self._look_at_hedges(now)

    def tick(self, now: int) -> tuple[list[str], bool]:
        """Look anew: the providers of which it changed whether they are retried; whether it did of hedges."""
        self._pay_in(now)
        changed = [name for name, budget in self._retries.items() if self._look(name, budget, now)]
        return changed, self._look_at_hedges(now)

    def _pay_in(self, now: int) -> None:
        if not self._calls:
            return
        for provider, calls in self._calls.items():
            budget = self._retries.get(provider)
            if budget is None:
                settings = self._settings
                budget = Budget(settings.retry_share, settings.retry_floor, settings.retry_seconds)
                self._retries[provider] = budget
            budget.called(now, calls)
            self._hedges.called(now, calls)
        self._calls.clear()

    def _look(self, provider: str, budget: Budget, now: int) -> bool:
        allowed = budget.left(now) >= 1
        before = self._may.get(provider, True)
        self._may[provider] = allowed
        return allowed != before

    def _look_at_hedges(self, now: int) -> bool:
        before, self.hedges = self.hedges, self._hedges.left(now) >= 1
        return before != self.hedges
