"""C programs that use the library."""

from pathlib import Path

from common import INCLUDE, PROJECT, WARNINGS, Checks, Skip, compilers, wrong

HERE = PROJECT / "Tests/abi"


def checks(library: Path, folder: Path) -> Checks:
    found = compilers("cc", "gcc", "clang")
    if not found:
        yield "programs", Skip("there is no C compiler")
        return
    for name in ["smoke"]:
        yield f"{name} compiles", build(found[0], name, folder)
    yield "smoke", wrong(folder / "smoke", folder)


def build(compiler: str, name: str, folder: Path) -> str:
    flags = ["-std=c11", "-O1", "-g", *WARNINGS, *INCLUDE, "-pthread"]
    return wrong(compiler, *flags, HERE / f"{name}.c", "-o", folder / name, "-lm", "-ldl")
