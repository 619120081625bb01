"""What a process is for."""

from enum import StrEnum


class Role(StrEnum):
    """The part of a service that one process plays."""

    BOTH = "both"  # takes requests and drives executions: all that one process needs
    API = "api"  # takes requests only; workers elsewhere drive what it accepts
    WORKER = "worker"  # drives executions only; it serves no more than its own health

    @property
    def serves(self) -> bool:
        """Whether it takes requests of callers."""
        return self is not Role.WORKER

    @property
    def works(self) -> bool:
        """Whether it runs an engine."""
        return self is not Role.API
