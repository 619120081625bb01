"""What evaluation raises: failures that a workflow can catch, and the need for a process to be killed."""

from core.data.flow import INTRINSIC_ERROR, RUNTIME_ERROR


class Unbounded(Exception):
    """An expression of unbounded time has to be evaluated: ask a process that can be killed."""


class Failed(Exception):
    """An evaluation failed: `error` is the error's name, `cause` a sentence for people."""

    def __init__(self, error: str, cause: str) -> None:
        super().__init__(cause)
        self.error = error
        self.cause = cause


class NothingThere(Failed):
    """A path names a value that is not there; `path` is as in the definition."""

    def __init__(self, path: str, cause: str) -> None:
        super().__init__(RUNTIME_ERROR, cause)
        self.path = path


class TooLarge(Exception):
    """A value passes the limit on its size, or nests too deeply."""


def runtime(cause: str) -> Failed:
    """A failure of a field or a choice in the language of JSONPath."""
    return Failed(RUNTIME_ERROR, cause)


def intrinsic(cause: str) -> Failed:
    """A failure of an intrinsic function."""
    return Failed(INTRINSIC_ERROR, cause)
