"""The header and the loader: they compile alone everywhere, and list the same functions."""

import re
import subprocess
from pathlib import Path

from common import HEADER, INCLUDE, PROJECT, WARNINGS, Checks, compilers, declared, differences


def checks(library: Path, folder: Path) -> Checks:
    for name in "diffeo.h", "diffeo_loader.h":
        for language, standards, found in (
            ("c", ("c99", "c11", "c17"), compilers("gcc", "clang")),
            ("c++", ("c++11", "c++17"), compilers("g++", "clang++")),
        ):
            for compiler in found:
                for standard in standards:
                    yield f"{name} compiles alone, {standard}, {compiler}", compiles(compiler, language, standard, name)

    functions = declared()
    committed = (PROJECT / "abi/diffeo.symbols").read_text().split()
    yield "abi/diffeo.symbols lists the functions of the header", differences(set(committed), set(functions))
    yield "abi/diffeo.symbols is sorted", "" if committed == sorted(set(committed)) else "it is not"
    loader = (PROJECT / "bindings/c/diffeo_loader.h").read_text()
    listed = ["diffeo_" + name for name in re.findall(r" X\((\w+)\)", loader)]
    problem = differences(set(listed), set(functions)) or ("" if listed == functions else "in another order")
    yield "the loader lists the functions of the header, in its order", problem
    others = re.findall(r"^(?:#define\s+|\s+)((?!DIFFEO_)[A-Z][A-Z0-9_]{2,})\b", HEADER.read_text(), re.M)
    yield "every macro and enumerator begins with DIFFEO_", " ".join(others)


def compiles(compiler: str, language: str, standard: str, name: str) -> str:
    """Included twice, with nothing before it."""
    command = [compiler, "-x", language, f"-std={standard}", *WARNINGS, *INCLUDE, "-fsyntax-only", "-"]
    source = f'#include "{name}"\n#include "{name}"\nint main(void) {{ return 0; }}\n'
    return subprocess.run(command, input=source, capture_output=True, text=True).stderr
