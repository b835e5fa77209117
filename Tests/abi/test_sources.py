"""What the Swift sources must not contain: nothing there may print or end the process."""

import re
from pathlib import Path

import pytest
from support import PROJECT

FORBIDDEN = {
    "Foundation": r"\bimport Foundation\b",
    "print": r"(?<![\w.])print\(",
    "fatalError": r"\bfatalError\b",
    "preconditionFailure": r"\bpreconditionFailure\b",
    "try!": r"\btry!",
    "as!": r"\bas!",
    "exit": r"\b(?:exit|abort)\(",
}
FILES = [path for path in sorted(PROJECT.glob("Sources/*/**/*.swift")) if not path.is_symlink()]


def test_there_are_sources():
    assert len(FILES) > 20


@pytest.mark.parametrize("name", FORBIDDEN)
def test_sources_do_without(name):
    assert not [hit for path in FILES for hit in hits(path, FORBIDDEN[name])]


def hits(path: Path, pattern: str) -> list[str]:
    """Not in comments."""
    text = re.sub(r"/\*.*?\*/", lambda c: "\n" * c[0].count("\n"), path.read_text(), flags=re.DOTALL)
    lines = enumerate((re.sub(r"//.*", "", line) for line in text.splitlines()), 1)
    return [f"{path.relative_to(PROJECT)}:{i}: {line.strip()}" for i, line in lines if re.search(pattern, line)]
