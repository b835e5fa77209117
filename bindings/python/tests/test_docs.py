"""The examples in docstrings and in the README."""

import contextlib
import doctest
import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import diffeo
import numpy as np
import pytest
from diffeo import architectures

README = Path(__file__).resolve().parents[1] / "README.md"
MODULES = ["diffeo", *(f"diffeo.{each.name}" for each in pkgutil.iter_modules(diffeo.__path__))]
MODULES = [name for name in MODULES if name != "diffeo.libdiffeo"]  # the shared library, not a module


@pytest.mark.parametrize("name", MODULES)
def test_docstrings(name):
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name not in ("dask", "jax", "torch"):
            raise
        pytest.skip(f"{error.name} is not installed")
    result = doctest.testmod(module, extraglobs={"diffeo": diffeo, "np": np})
    assert result.failed == 0


@pytest.mark.parametrize("thing", [thing for thing in diffeo.__all__ if not thing.startswith("__")])
def test_public_names_are_documented(thing):
    documented = getattr(diffeo, thing)
    assert documented.__doc__
    if isinstance(documented, type):
        for name, member in vars(documented).items():
            assert name.startswith("_") or not callable(member) or member.__doc__, f"{thing}.{name}"


@pytest.mark.parametrize(
    "name", [name for name in diffeo.__all__ if inspect.isfunction(getattr(architectures, name, None))]
)
def test_flows_by_name_tell_all_of_their_parameters(name):
    maker = getattr(diffeo, name)
    parameters = inspect.signature(maker).parameters
    head, _, rest = maker.__doc__.partition("Parameters\n----------\n")
    told = dict(re.findall(r"^(\w+) : (.*)\n    \S", rest, flags=re.MULTILINE))
    assert list(told) == list(parameters)
    for each, kind in told.items():
        default = parameters[each].default
        if default is inspect.Parameter.empty:
            assert "default" not in kind
        elif default is not None:
            assert kind.endswith(f'default "{default}"' if isinstance(default, str) else f"default {default}")
    assert "[1]_" in head
    assert re.search(r"^References\n-+\n\.\. \[1\] \S", rest, flags=re.MULTILINE)


@pytest.mark.skipif(not README.is_file(), reason="not in a source checkout")
def test_readme(tmp_path):
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)
    assert blocks
    scope = {}
    with contextlib.chdir(tmp_path), contextlib.redirect_stdout(None):
        for block in blocks:
            exec(compile(block, "README.md", "exec"), scope)
