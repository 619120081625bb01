from api.limits import Limits
from tests.api.serving import serving
from tests.api.test_event_streams import stalled


async def test_what_slow_readers_hold_of_large_answers_is_bounded() -> None:
    async with serving(limits=Limits(answer_bytes=1 << 20), data_limit=1 << 20) as server:
        # More than the buffers of two sockets hold.
        body = {"workflow": server.functions.workflow(*["big"] * 20)}
        answer = await server.client.post("/executions", json=body, headers={"prefer": "wait=20"})
        path = f"/executions/{answer.json()['executionId']}"
        small = await server.create("echo")
        whole = await server.client.get(path)
        assert len(whole.content) > 1 << 20
        _, writer = await stalled(server.address, path)
        busy = await server.client.get(path)
        assert (busy.status_code, busy.headers["retry-after"]) == (503, "1")
        assert busy.json()["type"] == "urn:sidestep:problem:busy"
        assert (await server.client.get(f"/executions/{small}")).status_code == 200
        writer.close()
        while (again := await server.client.get(path)).status_code == 503:
            pass
        assert again.content == whole.content
