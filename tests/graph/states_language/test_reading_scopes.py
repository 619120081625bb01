"""Parallels and maps, read into the one model."""

import pytest

from core.data.flow import Flow, Template
from core.graph.model import Batching, Target
from tests.graph.states_language.machines import (
    CHARGE,
    item_map,
    jsonata,
    last,
    machine,
    one,
    read,
    read_map,
    read_parallel,
    read_task,
    state,
    task,
)

YEAR_MS = 31_536_000_000


def test_branches_are_machines_within() -> None:
    workflow = read(
        machine(
            S=state(
                "Parallel",
                Branches=[
                    {"Comment": "one", **machine(A=state("Pass", Next="B"), B=state("Succeed"))},
                    machine(C=last("Parallel", Branches=[machine(D=last("Pass"))])),
                ],
                Parameters={"p.$": "$"},
                ResultSelector={"r.$": "$[0]"},
                Retry=[{"ErrorEquals": ["States.ALL"]}],
                Catch=[{"ErrorEquals": ["States.ALL"], "Next": "T"}],
                Next="T",
            ),
            T=state("Succeed"),
        )
    )
    step = read_parallel(machine(S=last("Parallel", Branches=[machine(A=last("Pass"))])))
    assert step.branches == ("A",)
    outer = workflow.steps["S"]
    assert getattr(outer, "branches", None) == ("A", "C")
    assert getattr(workflow.steps["C"], "branches", None) == ("D",)
    assert set(workflow.steps) == {"S", "T", "A", "B", "C", "D"}
    assert outer.flow == Flow(
        language="jsonpath",
        arguments=Template({"p.$": "$"}),
        result_selector=Template({"r.$": "$[0]"}),
    )


def test_a_map_walks_its_processor_for_the_whole_input_by_default() -> None:
    step = read_map(one(item_map()))
    assert (step.first, step.max_concurrency, step.distributed, step.results) == ("I", 0, False, "inline")
    assert (step.tolerated_count, step.tolerated_percent, step.batching) == (0, 0.0, None)
    assert step.flow == Flow(language="jsonpath", fields={"ItemsPath": Template("$")})
    assert read_map(jsonata(one(item_map()))).flow == Flow(language="jsonata")


@pytest.mark.parametrize("items", [[1, "{% 2 %}"], "{% $states.input.lines %}"])
def test_a_map_in_jsonata_says_its_items(items: object) -> None:
    step = read_map(jsonata(one(item_map(Items=items, ItemSelector={"i": "{% $states.context.Map %}"}))))
    assert step.flow == Flow(
        language="jsonata",
        fields={"Items": Template(items)},
        item=Template({"i": "{% $states.context.Map %}"}),
    )


@pytest.mark.parametrize("name", ["ItemSelector", "Parameters"])
def test_each_item_may_be_dressed(name: str) -> None:
    step = read_map(one(item_map(ItemsPath="$.lines", **{name: {"v.$": "$$.Map.Item.Value"}})))
    assert step.flow == Flow(
        language="jsonpath",
        fields={"ItemsPath": Template("$.lines")},
        item=Template({"v.$": "$$.Map.Item.Value"}),
    )


def test_an_inline_processor_may_say_an_execution_type_that_means_nothing() -> None:
    config = {"Mode": "INLINE", "ExecutionType": "STANDARD", "Comment": "inline"}
    step = read_map(one(item_map(ItemProcessor={"ProcessorConfig": config, **machine(I=last("Pass"))})))
    assert step.distributed is False


def test_empty_credentials_are_none() -> None:
    assert read_task(one(task(Credentials={}))).targets == (Target("AWS", CHARGE, "eu-west-1"),)


def test_the_older_name_of_a_processor_is_read_too() -> None:
    assert read_map(one(last("Map", Iterator=machine(I=last("Pass"))))).first == "I"


def test_a_distributed_map_has_limits_batches_and_a_shape() -> None:
    config = {"Mode": "DISTRIBUTED", "ExecutionType": "EXPRESS"}
    step = read_map(
        one(
            item_map(
                ItemProcessor={"ProcessorConfig": config, **machine(I=last("Pass"))},
                MaxConcurrency=7,
                ToleratedFailureCount=2,
                ToleratedFailurePercentage=12.5,
                Label="orders",
                ItemBatcher={
                    "MaxItemsPerBatch": 10,
                    "MaxInputBytesPerBatch": 1_000,
                    "BatchInput": {"b.$": "$.b"},
                },
                ItemReader={"ReaderConfig": {"InputType": "JSON", "MaxItems": 50}},
                ResultWriter={"WriterConfig": {"Transformation": "FLATTEN", "OutputType": "JSON"}},
            )
        )
    )
    assert (step.distributed, step.max_concurrency, step.results) == (True, 7, "FLATTEN")
    assert (step.tolerated_count, step.tolerated_percent) == (2, 12.5)
    assert step.batching == Batching(items=10, size=1_000)
    assert step.flow is not None
    assert step.flow.fields == {
        "ItemsPath": Template("$"),
        "BatchInput": Template({"b.$": "$.b"}),
        "MaxItems": Template(50),
    }


def test_the_numbers_of_a_map_may_be_found_in_the_data() -> None:
    step = read_map(
        one(
            item_map(
                MaxConcurrencyPath="$.m",
                ToleratedFailureCountPath="$.c",
                ToleratedFailurePercentagePath="$.p",
                ItemBatcher={"MaxItemsPerBatchPath": "$.b"},
                ItemReader={"ReaderConfig": {"MaxItemsPath": "$.i"}},
            )
        )
    )
    assert step.flow is not None
    assert {name: template.source for name, template in step.flow.fields.items()} == {
        "ItemsPath": "$",
        "MaxConcurrencyPath": "$.m",
        "ToleratedFailureCountPath": "$.c",
        "ToleratedFailurePercentagePath": "$.p",
        "MaxItemsPerBatchPath": "$.b",
        "MaxItemsPath": "$.i",
    }
    assert step.batching == Batching()
