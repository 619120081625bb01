"""Finds the functions of plain Python modules, in the files that each vendor expects.

A directory of functions looks so; a vendor's folder may be missing:

    aws/lambda_function.py     handlers `handler(event, context)`
    gcp/main.py                functions decorated with `@functions_framework.http`
    azure/function_app.py      `app = azure.functions.FunctionApp()` with HTTP triggers
    anything.py                what they share

While a module is loaded its own folder and the directory are importable, and what it imported from
there is forgotten again, so that each vendor has its own copy, and equally named helpers stay apart:
import them at the top of the module.
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
def importing_from(folder: Path) -> Iterator[None]:
    """Make a vendor's folder, and after everything else its parent, importable for a moment."""
    places = (folder.resolve(), folder.resolve().parent)
    before_path, before_modules = list(sys.path), dict(sys.modules)
    sys.path[:] = [str(places[0]), *before_path, str(places[1])]
    try:
        yield
    finally:
        sys.path[:] = before_path
        for name, module in list(sys.modules.items()):
            file = getattr(module, "__file__", None)
            if before_modules.get(name) is module or file is None or Path(file).parent not in places:
                continue
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
