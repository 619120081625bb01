"""Answering requests about data (flow.py): pure, and bounded in time and size unless asked otherwise."""

from core.data import expression_flows, path_flows
from core.data.failures import Failed, TooLarge, Unbounded
from core.data.flow import Answer, Request

__all__ = ["Unbounded", "answer"]


def answer(request: Request, *, bounded: bool = True) -> Answer:
    """What comes of `request`; a failed evaluation is an answer.

    With `bounded`, raises Unbounded where a JSONata expression, a filter or a regular expression would have
    to be evaluated: plain key walks, indexes, intrinsic functions and comparisons are answered here. Raises
    nothing else, whatever JSON the frame holds.
    """
    language = request.flow.language
    try:
        if language == "jsonpath":
            return path_flows.answer(request, bounded=bounded)
        return expression_flows.answer(request, bounded=bounded)
    except Failed as failed:
        return Answer(error=failed.error, cause=failed.cause)
    except TooLarge as large:
        cause = str(large)
    except RecursionError:
        cause = "It is nested too deep."
    name = "Sidestep.DataLimitExceeded" if language == "native" else "States.DataLimitExceeded"
    return Answer(error=name, cause=f"The value that the step makes is too large. {cause}")
