"""Answering requests about data (flow.py): pure, and bounded in time and size unless asked otherwise."""

from core.data.flow import Answer, Request


class Unbounded(Exception):
    """An expression of unbounded time has to be evaluated: ask a process that can be killed."""


def answer(request: Request, *, bounded: bool = True) -> Answer:
    """What comes of `request`; a failed evaluation is an answer.

    With `bounded`, raises Unbounded where a JSONata expression, a filter or a regular expression would have
    to be evaluated: plain key walks, indexes, intrinsic functions and comparisons are answered here. Raises
    nothing else, whatever JSON the frame holds.
    """
    raise NotImplementedError
