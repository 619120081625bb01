import re

from tests.api.serving import Server, serving


async def test_providers_say_whether_they_are_configured_and_what_calls_proved(light: Server) -> None:
    for name in ("echo", "own-error"):
        await light.ended(await light.create(name))
    providers = (await light.client.get("/providers")).json()["providers"]
    by_name = {provider["provider"]: provider for provider in providers}
    assert set(by_name) == {"AWS", "GCP", "AZURE", "HTTP"}
    assert by_name["AWS"]["configured"] is False
    assert "SIDESTEP_PROVIDERS__AWS__" in by_name["AWS"]["whyNot"]
    http = by_name["HTTP"]
    assert (http["configured"], http["whyNot"], http["calls"], http["inFlight"]) == (True, None, 2, 0)
    assert sum(http["signals"].values()) == 2
    assert [seen["ok"] for seen in http["recent"]] == [False, True]
    assert http["recent"][1]["target"]["functionId"].endswith("/echo")


async def test_a_provider_is_found_in_any_case_and_an_unknown_one_is_not(light: Server) -> None:
    assert (await light.client.get("/providers/aws")).json()["provider"] == "AWS"
    answer = await light.client.get("/providers/oracle")
    assert answer.status_code == 404
    assert "AWS, GCP, AZURE, HTTP" in answer.json()["detail"]


async def test_a_cloud_that_is_away_fails_no_health_check(light: Server) -> None:
    await light.ended(await light.create("down"))
    for path in ("/health", "/livez", "/readyz"):
        answer = await light.client.get(path)
        assert (answer.status_code, answer.json()["status"]) == (200, "OK")


async def test_metrics_count_executions_and_attempts(light: Server) -> None:
    await light.ended(await light.create("echo", "done"))
    answer = await light.client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    page = answer.text
    assert 'sidestep_executions{status="COMPLETED"} 1\n' in page
    assert 'sidestep_attempts_sent_total{provider="HTTP"} 2\n' in page
    assert 'sidestep_attempts_ended_total{provider="HTTP",signal="ok"} 2\n' in page
    assert "sidestep_engine_restarts_total 0\n" in page
    line = re.compile(r'(# (HELP|TYPE) .+|[a-z_]+(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? [0-9.e+]+)')
    assert [text for text in page.splitlines() if not line.fullmatch(text)] == []


async def test_metrics_count_what_housekeeping_removed_and_mended(light: Server) -> None:
    keeper = light.runtime.housekeeping
    keeper.removed["COMPLETED"] += 3
    keeper.mended += 2
    page = (await light.client.get("/metrics")).text
    assert 'sidestep_executions_removed_total{status="COMPLETED"} 3\n' in page
    assert 'sidestep_executions_removed_total{status="FAILED"} 0\n' in page
    assert "sidestep_executions_mended_total 2\n" in page


async def test_metrics_count_sidesteps_by_both_providers(light: Server) -> None:
    step = light.functions.task("s0", "down")
    step["fallbacks"] = [{"provider": "HTTP", "functionId": f"{light.functions.url}/done"}]
    body = {"workflow": {"id": "flow", "startAt": "s0", "steps": [step]}}
    answer = await light.client.post("/executions", json=body, headers={"prefer": "wait=20"})
    assert answer.json()["failedOver"] is True
    page = (await light.client.get("/metrics")).text
    assert 'sidestep_sidesteps_total{from="HTTP",to="HTTP"} 1\n' in page


async def test_a_step_tells_how_many_fallbacks_it_has_and_whether_own_errors_go_there(light: Server) -> None:
    step = light.functions.task("s0", "own-error")
    step["fallbacks"] = [{"provider": "HTTP", "functionId": f"{light.functions.url}/done"}]
    for changes, moves in (({}, []), ({"failoverOn": ["functionError"]}, ["functionError"])):
        body = {"workflow": {"id": "flow", "startAt": "s0", "steps": [{**step, **changes}]}}
        answer = await light.client.post("/executions", json=body, headers={"prefer": "wait=20"})
        (seen,) = answer.json()["steps"]
        assert (seen["fallbacks"], seen["failoverOn"]) == (1, moves)
        assert len(seen["attempts"]) == 1 + len(moves)


async def test_the_index_leads_to_what_there_is(light: Server) -> None:
    links = (await light.client.get("/")).json()["links"]
    for path in links.values():
        assert (await light.client.get(path)).status_code == 200, path


async def test_openapi_describes_every_call_with_examples_and_known_schemas(light: Server) -> None:
    answer = await light.client.get("/openapi.json")
    document = answer.json()
    operations = {(method, path) for path, methods in document["paths"].items() for method in methods}
    assert {
        ("post", "/executions"),
        ("get", "/executions/{execution_id}"),
        ("get", "/executions/{execution_id}/events"),
        ("post", "/executions/{execution_id}/cancel"),
        ("put", "/workflows/{workflow_id}"),
        ("post", "/workflows/validate"),
        ("get", "/providers/{provider_id}"),
        ("get", "/metrics"),
    } <= operations
    creation = document["paths"]["/executions"]["post"]
    assert "example" in creation["requestBody"]["content"]["application/json"]
    schemas = document["components"]["schemas"]
    named = set(re.findall(r'"#/components/schemas/([A-Za-z]+)"', answer.text))
    assert named <= set(schemas)
    assert "startedAt" in schemas["ExecutionView"]["properties"]
    assert "HTTPValidationError" not in named
    for path in ("/docs", "/redoc"):
        assert (await light.client.get(path)).status_code == 404


async def test_the_example_of_the_document_is_accepted_by_validation(light: Server) -> None:
    document = (await light.client.get("/openapi.json")).json()
    body = document["paths"]["/workflows/validate"]["post"]["requestBody"]
    example = body["content"]["application/json"]["example"]
    found = (await light.client.post("/workflows/validate", json=example)).json()
    # Here no cloud is configured; nothing else is wrong with it.
    assert {problem["code"] for problem in found["problems"]} <= {"no-usable-target"}


async def test_a_stopping_server_is_not_ready() -> None:
    async with serving() as server:
        server.runtime.closing.set()
        answer = await server.client.get("/readyz")
        assert (answer.status_code, answer.json()["error"]) == (503, "The server is stopping.")
        assert (await server.client.get("/livez")).status_code == 200
