"""Fixtures: the library of DIFFEO_LIBRARY, by default that of the build, and C programs against it."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from support import HERE, INCLUDE, PROJECT, WARNINGS, compilers, run


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest begins first, so that no core is left with it at the end."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(scope="session")
def library() -> Path:
    path = Path(os.environ.get("DIFFEO_LIBRARY", PROJECT / ".build/release/libdiffeo.so")).resolve(strict=True)
    os.environ["DIFFEO_LIBRARY"] = str(path)  # for the C programs
    return path


@pytest.fixture(scope="session")
def bare_library(library: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Without line numbers, which this valgrind may be too old to read."""
    bare = tmp_path_factory.mktemp("bare") / "libdiffeo.so"
    run("strip", "--strip-debug", "-o", bare, library)
    return bare


@pytest.fixture(scope="session")
def program(library: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Compiles one of the C programs here, once."""
    folder = tmp_path_factory.mktemp("programs")

    def compiled(name: str) -> Path:
        path, found = folder / name, compilers("cc", "gcc", "clang")
        if not found:
            pytest.skip("there is no C compiler (scripts/setup-system installs one)")
        if not path.exists():
            flags = ("-std=gnu11", "-g", "-pthread", *WARNINGS, *INCLUDE)
            run(found[0], *flags, HERE / f"{name}.c", "-o", path, "-lm", "-ldl")
        return path

    return compiled
