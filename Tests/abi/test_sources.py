"""What the Swift sources must not contain: nothing may print or end the process, one module knows the platform."""

import re
from pathlib import Path

import pytest
from support import PROJECT

FORBIDDEN = {
    "Foundation": r"\bimport Foundation\b",
    "C library": r"\bimport (?:Glibc|Musl|Darwin)\b",
    "print": r"(?<![\w.])print\(",
    "fatalError": r"\bfatalError\b",
    "preconditionFailure": r"\bpreconditionFailure\b",
    "try!": r"\btry!",
    "as!": r"\bas!",
    "exit": r"\b(?:exit|abort)\(",
}
IN_ONE_PLACE = {"C library": "Sources/CLibrary/CLibrary.swift"}
FILES = [path for path in sorted(PROJECT.glob("Sources/*/**/*.swift")) if not path.is_symlink()]


def test_there_are_sources():
    assert len(FILES) > 20


@pytest.mark.parametrize("name", FORBIDDEN)
def test_sources_do_without(name):
    allowed = IN_ONE_PLACE.get(name)
    found = [hit for path in FILES for hit in hits(path, FORBIDDEN[name])]
    assert {hit.partition(":")[0] for hit in found} == ({allowed} if allowed else set()), found


def hits(path: Path, pattern: str) -> list[str]:
    """Not in comments."""
    text = re.sub(r"/\*.*?\*/", lambda c: "\n" * c[0].count("\n"), path.read_text(), flags=re.DOTALL)
    lines = enumerate((re.sub(r"//.*", "", line) for line in text.splitlines()), 1)
    return [f"{path.relative_to(PROJECT)}:{i}: {line.strip()}" for i, line in lines if re.search(pattern, line)]
