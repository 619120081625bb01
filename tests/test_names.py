"""The application's import names are generic; they must be this project's and no other distribution's."""

import importlib.util
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NAMES = ["core", "adapters", "api", "cli", "localcloud"]


@pytest.mark.parametrize("name", NAMES)
def test_a_generic_name_is_this_projects(name: str) -> None:
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    assert Path(spec.origin).is_relative_to(ROOT)


@pytest.mark.parametrize("name", NAMES)
def test_no_other_distribution_brings_a_package_of_that_name(name: str) -> None:
    assert set(packages_distributions().get(name, [])) <= {"sidestep"}
