"""The static endpoint: it answers whatever pieces a request comes in, and counts by key and attempt."""

import asyncio

import msgspec

from benchmarks.children import Child, child
from benchmarks.endpoint import ANSWER, BODY, Calls


def post(key: str, attempt: int, body: bytes = b"{}") -> bytes:
    head = f"POST /any HTTP/1.1\r\nHost: x\r\nIdempotency-Key: {key}\r\nSidestep-Attempt: {attempt}\r\n"
    return head.encode() + b"content-length: %d\r\n\r\n%s" % (len(body), body)


async def calls_of(one: Child) -> Calls:
    await one.say("calls")
    return msgspec.json.decode(await one.line(20), type=Calls)


async def test_pieces_and_several_at_once_get_an_answer_each() -> None:
    async with child("endpoint") as one:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(await one.line(20)))
        await one.say("count")
        assert (await calls_of(one)).total == 0
        # What looks like the end of a head within a body is none.
        whole = post("a", 1, b"..\r\n\r\n..")
        several = post("b", 1) + post("c", 1) + whole[:20]
        for number, piece in enumerate((whole[:9], whole[9:-7], whole[-7:], several, whole[20:])):
            writer.write(piece)
            async with asyncio.timeout(20):
                await writer.drain()
                # Each piece is read by itself.
                await reader.readexactly(len(ANSWER) * (0, 0, 1, 2, 1)[number])
                await calls_of(one)
        assert await calls_of(one) == Calls(total=4, keys=3, repeated=1, sent_twice=1)
        writer.close()
    assert ANSWER.endswith(BODY)


async def test_a_probe_without_a_body_is_answered() -> None:
    async with child("endpoint") as one:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(await one.line(20)))
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        async with asyncio.timeout(20):
            assert await reader.readexactly(len(ANSWER)) == ANSWER
        writer.close()


async def test_calls_are_counted_by_key_and_attempt_from_when_that_is_asked_for() -> None:
    async with child("endpoint", 0.01) as one:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(await one.line(20)))

        async def call(*requests: bytes) -> None:
            for request in requests:
                writer.write(request)
                async with asyncio.timeout(20):
                    await reader.readexactly(len(ANSWER))

        await call(post("before", 1))
        await one.say("count")
        assert await calls_of(one) == Calls(0, 0, 0, 0)
        # A second attempt repeats the step; the same attempt once more is the worse.
        await call(post("a", 1), post("a", 2), post("b", 1), post("b", 1), post("c", 1))
        assert await calls_of(one) == Calls(total=5, keys=3, repeated=2, sent_twice=1)
        writer.close()
