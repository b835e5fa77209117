"""The header and the loader: they compile alone everywhere, and list the same functions."""

import re
import subprocess
from pathlib import Path

import pytest
from support import HEADER, INCLUDE, PROJECT, WARNINGS, compilers, declared

CASES = [
    (compiler, language, standard)
    for language, standards, names in (
        ("c", ("c99", "c11", "c17"), ("gcc", "clang")),
        ("c++", ("c++11", "c++17"), ("g++", "clang++")),
    )
    for compiler in compilers(*names)
    for standard in standards
]


@pytest.mark.parametrize("name", ["diffeo.h", "diffeo_loader.h"])
@pytest.mark.parametrize(
    ("compiler", "language", "standard"), CASES, ids=[f"{Path(case[0]).name}-{case[2]}" for case in CASES]
)
def test_compiles_alone(name, compiler, language, standard):
    """Included twice, with nothing before it."""
    command = [compiler, "-x", language, f"-std={standard}", *WARNINGS, *INCLUDE, "-fsyntax-only", "-"]
    source = f'#include "{name}"\n#include "{name}"\nint main(void) {{ return 0; }}\n'
    assert subprocess.run(command, input=source, capture_output=True, text=True).stderr == ""


def test_symbols_are_the_functions_of_the_header():
    committed = (PROJECT / "abi/diffeo.symbols").read_text().split()
    assert set(committed) == set(declared())


def test_symbols_are_sorted():
    committed = (PROJECT / "abi/diffeo.symbols").read_text().split()
    assert committed == sorted(set(committed))


def test_the_loader_lists_the_functions_of_the_header_in_its_order():
    loader = (PROJECT / "bindings/c/diffeo_loader.h").read_text()
    assert ["diffeo_" + name for name in re.findall(r" X\((\w+)\)", loader)] == declared()


def test_every_macro_and_enumerator_begins_with_diffeo():
    assert not re.findall(r"^(?:#define\s+|\s+)((?!DIFFEO_)[A-Z][A-Z0-9_]{2,})\b", HEADER.read_text(), re.M)
