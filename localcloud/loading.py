"""Finds the functions of plain Python modules, in the files that each vendor expects.

A directory of functions looks so; a vendor's folder may be missing:

    aws/lambda_function.py     handlers `handler(event, context)`
    gcp/main.py                functions decorated with `@functions_framework.http`
    azure/function_app.py      `app = azure.functions.FunctionApp()` with HTTP triggers

While a module is loaded its own folder is importable, and what it imported from there is forgotten
again, so that equally named helpers of two vendors stay apart: import them at the top of the module.
"""

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

DEMO = Path(__file__).parent / "functions"


class FunctionsError(Exception):
    """A directory of functions that cannot be used; the message says which file, and why."""


@contextmanager
def importing_from(directory: Path) -> Iterator[None]:
    """Make a folder importable for a moment."""
    folder = str(directory.resolve())
    before_path, before_modules = list(sys.path), dict(sys.modules)
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path[:] = before_path
        for name, module in list(sys.modules.items()):
            file = getattr(module, "__file__", None)
            if (
                before_modules.get(name) is not module
                and file is not None
                and Path(file).parent == Path(folder)
            ):
                if name in before_modules:
                    sys.modules[name] = before_modules[name]
                else:
                    del sys.modules[name]


def load(path: Path) -> ModuleType:
    """Run a module from its file. Raises FunctionsError if it cannot be loaded."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise FunctionsError(f"{path} is no Python module")
    module = importlib.util.module_from_spec(spec)
    with importing_from(path.parent):
        sys.modules[path.stem] = module  # dataclasses and pickles look their module up
        try:
            spec.loader.exec_module(module)
        except Exception as error:
            raise FunctionsError(f"{path} cannot be loaded: {type(error).__name__}: {error}") from error
    return module


def public_name(identifier: str) -> str:
    """The name under which a Python function is deployed: `charge_card` is `charge-card`."""
    return identifier.replace("_", "-")
