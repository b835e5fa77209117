"""What every kind of layer, base and map must have, beside its file and its line in Flows/Kinds.swift or ElementMap.swift.

Its case in the contract suite: RegistryTests.swift; its test in Python: test_spec.py. A test that fails names the kind
that lacks something.
"""

import re
from pathlib import Path

import diffeo
import h5py
import pytest

PROJECT = Path(__file__).parents[2]
SOURCES = PROJECT / "Sources/Diffeo"
FORMAT = (PROJECT / "docs/weight-file.md").read_text()
HEADER = (PROJECT / "include/diffeo.h").read_text()
ELEMENT_MAP = (SOURCES / "Bijections/ElementMap.swift").read_text()


def kinds() -> set[str]:
    names = {}
    for path in SOURCES.rglob("*.swift"):
        for match in re.finditer(r"struct (\w+Spec): .*?static let kind = \"(\w+)\"", path.read_text(), re.DOTALL):
            names.setdefault(match[1], match[2])
    lists = (SOURCES / "Flows/Kinds.swift").read_text()
    return {names[spec] for spec in re.findall(r"^    (\w+)\.self,$", lists, re.MULTILINE)}


def maps() -> set[str]:
    names = {}
    for path in SOURCES.rglob("*.swift"):
        for match in re.finditer(r"(\w+Rule): .*?static let name = \"(\w+)\"", path.read_text(), re.DOTALL):
            names.setdefault(match[1], match[2])
    return {names[rule] for rule in re.findall(r"^    (\w+Rule)\.self,$", ELEMENT_MAP, re.MULTILINE)}


KINDS = sorted(kinds())
MAPS = sorted(maps())


def test_the_lists_are_found():
    assert {"coupling", "made", "standard_normal", "dequantize"} <= set(KINDS)
    assert {"affine", "sinh_arcsinh"} <= set(MAPS)


def components(f: h5py.File) -> set[str]:
    groups = [f["base"], *f["layers"].values()] + ([f["context"]] if "context" in f else [])
    return {group.attrs[name].decode() for group in groups for name in ("kind", "transformer") if name in group.attrs}


@pytest.mark.parametrize("kind", KINDS + MAPS)
def test_has_a_row_in_the_format(kind):
    assert re.search(rf"^\| `{kind}` (\((base|layer, context|MAY be left out)\) )?\|", FORMAT, re.MULTILINE)


@pytest.mark.parametrize("kind", KINDS + MAPS)
def test_has_a_row_among_the_flows(kind):
    parts = (PROJECT / "docs/flows.md").read_text().split("# Parts")[1]
    assert re.search(rf"^\| [^|]*`{kind}`[^|]*\|", parts, re.MULTILINE)


@pytest.mark.parametrize("kind", KINDS + MAPS)
def test_has_a_file_that_stays_readable(kind):
    """Written by the version that brought the kind; BitsTests holds its numbers."""
    files = [*(PROJECT / "Tests/files").glob(f"*/{kind}.h5")]
    assert len(files) == 1
    with h5py.File(files[0]) as f:
        assert kind in components(f)
    assert kind in MAPS or kind in str(diffeo.load(files[0]))


@pytest.mark.parametrize("function", re.findall(r"diffeo_(spec_(?:add|set|standardize)_\w+)\(", HEADER))
def test_refuses_null(function):
    assert f"D.{function}(NULL" in (PROJECT / "Tests/abi/abuse.c").read_text()
