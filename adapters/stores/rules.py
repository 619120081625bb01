"""What every store answers alike: limits, sentences, messages as bytes."""

import json

from core.errors import (
    ExecutionEnded,
    ExecutionLive,
    ExecutionNotFound,
    IdempotencyConflict,
    InvalidInput,
    NotOwner,
    StoreUnavailable,
    WorkflowNotFound,
)
from core.ports.store import Commit, Idempotency, Message

MAX_PAGE = 500


def check_limit(limit: int) -> None:
    """Raise InvalidInput unless `limit` can be a page's length."""
    if not 1 <= limit <= MAX_PAGE:
        raise InvalidInput(f"limit must be 1 to {MAX_PAGE}, not {limit}")


def check_history(after: int, limit: int) -> None:
    """Raise InvalidInput unless the two can be a stretch of a journal."""
    if after < 0 or limit < 1:
        raise InvalidInput(f"after must be 0 or more and limit 1 or more, not {after} and {limit}")


def unknown_execution(execution_id: str) -> ExecutionNotFound:
    """The error for an id that no execution has."""
    return ExecutionNotFound(f"there is no execution {execution_id!r}")


def unknown_workflow(what: str) -> WorkflowNotFound:
    """The error for a workflow, a version or a digest that nobody registered."""
    return WorkflowNotFound(f"there is no workflow {what}")


def key_conflict(idempotency: Idempotency) -> IdempotencyConflict:
    """The error for a key that was used for another request."""
    return IdempotencyConflict(
        f"idempotency key {idempotency.key!r} was used before with a different request; use another key"
    )


def has_ended(execution_id: str, status: str) -> ExecutionEnded:
    """The error for a message to an execution that takes none any more."""
    return ExecutionEnded(f"execution {execution_id!r} has ended ({status}) and takes no more messages")


def is_live(execution_id: str, status: str) -> ExecutionLive:
    """The error for the removal of an execution that something may happen to yet."""
    return ExecutionLive(
        f"execution {execution_id!r} has not ended ({status}), or a message waits for it; cancel it first"
    )


def not_owner(commit: Commit, version: int) -> NotOwner:
    """The error for a commit whose version or epoch does not match."""
    return NotOwner(
        f"epoch {commit.epoch} does not own execution {commit.execution_id!r} at version {commit.version} "
        f"(its journal holds {version} events)"
    )


def closed() -> StoreUnavailable:
    """The error for a call before open or after close."""
    return StoreUnavailable("the store is not open")


def unusable(error: Exception) -> InvalidInput:
    """The error for an argument that a store cannot keep: a lone surrogate, a number beyond 64 bits."""
    return InvalidInput(f"the store cannot keep an argument: {error}")


def check_text(*texts: str | None) -> None:
    """Raise InvalidInput for text that has no UTF-8 form."""
    for text in texts:
        if text is not None and not text.isascii():
            try:
                text.encode()
            except UnicodeEncodeError as error:
                raise unusable(error) from error


def encode_message(message: Message) -> bytes:
    """The message as JSON. Raises InvalidInput where its body is not JSON (NaN, a set, a cycle).

    The standard library's codec, since it keeps integers of any size.
    """
    fields = {
        "id": message.message_id,
        "kind": message.kind,
        "body": message.body,
        "actor": message.actor,
        "at": message.sent_at_ms,
    }
    try:
        return json.dumps(fields, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput(f"a message's body is not JSON: {error}") from error


def decode_message(data: bytes) -> Message:
    """What `encode_message` made bytes of."""
    fields = json.loads(data)
    return Message(
        message_id=fields["id"],
        kind=fields["kind"],
        body=fields["body"],
        actor=fields["actor"],
        sent_at_ms=fields["at"],
    )
