import pytest

from core.data.failures import NothingThere, TooLarge, Unbounded
from core.data.jsonpath import MAX_PATH, NotAPath, compile_path, keys
from core.data.jsonpath_nodes import evaluate
from core.data.paths import MISSING, Json

SHOP = {
    "store": {
        "book": [
            {"category": "reference", "price": 8.95, "author": "Rees"},
            {"category": "fiction", "price": 12.99, "isbn": "0-553-21311-3"},
            {"category": "fiction", "price": 22.99, "isbn": "0-395-19395-8"},
        ],
        "bicycle": {"color": "red", "price": 19.95},
    },
    "expensive": 10,
    "deep-freeze": {"a b": {"c:d": 1}},
}
PRICES = [8.95, 12.99, 22.99]


def find(path: str, data: Json = SHOP) -> Json:
    return evaluate(compile_path(path), data, bounded=False)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("$.expensive", 10),
        ("$['expensive']", 10),
        ('$["store"].book[0].author', "Rees"),
        ("$.store.book[-1].price", 22.99),
        ("$.deep-freeze['a b'].c:d", 1),
        ("$.deep-freeze.['a b']", {"c:d": 1}),
        ("$.store.bicycle['color','price']", {"color": "red", "price": 19.95}),
        ("$.store.book.length()", 3),
        ("$.store.bicycle.keys()", ["color", "price"]),
    ],
)
def test_a_definite_path_gives_the_value_itself(path: str, found: Json) -> None:
    assert find(path) == found


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("$.store.book[*].price", PRICES),
        ("$.store.book[*].isbn", ["0-553-21311-3", "0-395-19395-8"]),
        ("$.store.book[0,2].price", [8.95, 22.99]),
        ("$.store.book[:2].price", PRICES[:2]),
        ("$.store.book[-1:].price", PRICES[-1:]),
        ("$..price", [8.95, 12.99, 22.99, 19.95]),
        ("$..book[1].price", [12.99]),
        ("$.store.bicycle.*", ["red", 19.95]),
        ("$.nothing[*]", []),
        ("$.nothing.at.all[1:3].there", []),
        ("$.store.book[9,10]", []),
        ("$.store.book[*].price.max()", 22.99),
    ],
)
def test_an_indefinite_path_gives_a_list_of_what_it_finds(path: str, found: Json) -> None:
    assert find(path) == found


@pytest.mark.parametrize(
    ("condition", "prices"),
    [
        ("@.isbn", PRICES[1:]),
        ("!@.isbn", PRICES[:1]),
        ("(@.price > 10)", PRICES[1:]),
        ("@.price <= $.expensive", PRICES[:1]),
        ("@.category == 'fiction' && @.price < 20", PRICES[1:2]),
        ("@.category == 'no' || @.price == 22.99", PRICES[2:]),
        ("@.category =~ /fic.*/", PRICES[1:]),
        ("@.category =~ /FIC.*/", []),
        ("@.category =~ /FIC.*/i", PRICES[1:]),
        (r"@.category =~ /\w+i[^']n/", PRICES[1:]),
        ("@.category in ['reference', 'x']", PRICES[:1]),
        ("@.category nin ['reference', 'x']", PRICES[1:]),
        ("@.category == 'a]b'", []),
    ],
)
def test_filters_ask_each_item(condition: str, prices: list[float]) -> None:
    assert find(f"$.store.book[?({condition})].price") == prices
    assert find(f"$.store.book[?{condition}].price") == prices


def test_a_filter_asks_an_object_about_itself() -> None:
    assert find("$.store.bicycle[?(@.color == 'red')].price") == [19.95]


@pytest.mark.parametrize(
    "path",
    ["$.nothing", "$.store.book[3]", "$.store.book[-4]", "$.expensive.x", "$.store.book.x", "$.store[0]"],
)
def test_nothing_is_there_where_a_definite_path_leads_nowhere(path: str) -> None:
    assert find(path) is MISSING


def test_null_is_there() -> None:
    assert find("$.a", {"a": None}) is None


def test_the_root_names_itself_the_context_or_a_variable() -> None:
    assert (compile_path("$.x").variable, compile_path("$").steps) == (None, ())
    assert compile_path("$$.Execution.Id").variable == "$"
    assert compile_path("$orders[0]").variable == "orders"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "store",
        "$.",
        "$..",
        "$.a.",
        "$...a",
        "$[",
        "$['a",
        "$['a'",
        "$[abc]",
        "$[0",
        "$.a b",
        "$1",
        "$.a.size()",
        "$.length().a",
        "$[?(@.a",
        "$[?(@.a =~ /(/)]",
        "$[?(nothing(@))]",
        "$[0:1:0]",
        "$" + ".a" * MAX_PATH,
        "$" + "[0]" * 200,
    ],
)
def test_other_text_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(NotAPath, match=r"\.$"):
        compile_path(text)


def test_reference_paths_have_names_and_indexes_only() -> None:
    assert keys(compile_path("$.a['b'][0]")) == ("a", "b", 0)
    for path in ("$.a[*]", "$..a", "$[0:1]", "$[-1]", "$['a','b']", "$.a.length()", "$[?(@.a)]"):
        assert keys(compile_path(path)) is None, path


@pytest.mark.parametrize("path", ["$..a", "$[?(@.a)]", "$.a[?(@ =~ /x/)].b"])
def test_filters_and_descents_are_for_processes_that_can_be_killed(path: str) -> None:
    with pytest.raises(Unbounded):
        evaluate(compile_path(path), SHOP, bounded=True)


def test_a_path_that_finds_too_much_is_stopped() -> None:
    wide = [[0] * 1_000] * 1_000
    with pytest.raises(TooLarge):
        find("$[*][*]", wide)
    with pytest.raises(TooLarge):
        find(f"$[{'0,' * 700}0][{'0,' * 700}0]", wide)


@pytest.mark.parametrize("path", ["$.expensive.length()", "$.store.max()", "$.store.book.sum()"])
def test_a_function_refuses_what_it_cannot_be_applied_to(path: str) -> None:
    with pytest.raises(NothingThere, match="cannot be applied"):
        find(path)


def test_numbers_are_put_together() -> None:
    data = {"n": [1, 2, 3, 4]}
    results = [find(f"$.n.{name}()", data) for name in ("min", "max", "sum", "avg", "first", "last")]
    assert results == [1, 4, 10, 2.5, 1, 4]
    assert find("$.n.stddev()", data) == pytest.approx(1.118, abs=0.001)
