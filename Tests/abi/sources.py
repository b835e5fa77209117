"""What the Swift sources must not contain: nothing there may print or end the process."""

import re
from pathlib import Path

from common import PROJECT, Checks

FORBIDDEN = (
    r"\bimport Foundation\b",
    r"(?<![\w.])print\(",
    r"\bfatalError\b",
    r"\bpreconditionFailure\b",
    r"\btry!",
    r"\bas!",
    r"\b(?:exit|abort)\(",
)


def checks(library: Path, folder: Path) -> Checks:
    files = [path for path in sorted(PROJECT.glob("Sources/*/**/*.swift")) if not path.is_symlink()]
    yield "there are sources", "" if len(files) > 20 else f"{len(files)} files"
    for pattern in FORBIDDEN:
        yield f"no {pattern} under Sources", "\n".join(hit for path in files for hit in hits(path, pattern))


def hits(path: Path, pattern: str) -> list[str]:
    """Not in comments."""
    text = re.sub(r"/\*.*?\*/", lambda c: "\n" * c[0].count("\n"), path.read_text(), flags=re.DOTALL)
    lines = enumerate((re.sub(r"//.*", "", line) for line in text.splitlines()), 1)
    return [f"{path.relative_to(PROJECT)}:{i}: {line.strip()}" for i, line in lines if re.search(pattern, line)]
