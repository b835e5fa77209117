"""No module of the package imports itself by way of others: not at its top, in a function, or for types alone."""

import ast
import graphlib
from pathlib import Path

import diffeo
import pytest

PACKAGE = Path(diffeo.__file__).parent
FILES = {".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts): path for path in PACKAGE.rglob("*.py")}
FILES = {name.removesuffix(".__init__"): path for name, path in FILES.items()}


def imports(name):
    """The modules of the package that one names, wherever in its text; a package is not asked of what is inside it."""
    found = set()
    package = name if FILES[name].name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(FILES[name].read_text())):
        if isinstance(node, ast.ImportFrom):
            above = package.rsplit(".", node.level - 1)[0] if node.level else ""
            module = ".".join(filter(None, (above, node.module)))
            found |= {part if (part := f"{module}.{each.name}") in FILES else module for each in node.names}
        elif isinstance(node, ast.Import):
            found |= {each.name for each in node.names}
    return found & FILES.keys()


def test_imports_are_found():
    assert {"diffeo._abi", "diffeo._arrays", "diffeo.flow"} <= imports("diffeo.architectures")
    assert {"diffeo.errors", "diffeo.exchange._check"} <= imports("diffeo.exchange")
    assert len(FILES) > 20


def test_there_is_no_circle():
    try:
        graphlib.TopologicalSorter({name: imports(name) for name in FILES}).prepare()
    except graphlib.CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))
