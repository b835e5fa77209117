"""What the tests share."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
HERE = PROJECT / "Tests/abi"
HEADER = PROJECT / "include/diffeo.h"
SONAME = (PROJECT / "abi/diffeo.abi").read_text().split()[1]
NODE = SONAME.replace("libdiffeo.so.", "DIFFEO_")
WARNINGS = ["-Wall", "-Wextra", "-pedantic", "-Werror"]
INCLUDE = [f"-I{PROJECT / 'include'}", f"-I{PROJECT / 'bindings/c'}"]
LENGTH = int(os.environ.get("DIFFEO_TEST_LENGTH", "1"))  # tests marked long go so many times as far


def run(*command: object, **options: object) -> str:
    """What a command prints. A failure of it is one of the test, with the end of what it said."""
    try:
        done = subprocess.run(
            [str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=900 * LENGTH, **options
        )
    except subprocess.TimeoutExpired as expired:
        pytest.fail(f"{Path(command[0]).name}: no end after {expired.timeout:.0f} s", pytrace=False)
    printed = done.stdout.decode(errors="replace")
    if done.returncode:
        pytest.fail(f"{Path(command[0]).name}: exit {done.returncode}\n{printed[-3000:].rstrip()}", pytrace=False)
    return printed


def needs(*tools: str) -> pytest.MarkDecorator:
    """The test is skipped where one of these is not installed: commands, or files by their whole path."""
    missing = [tool for tool in tools if not (compilers(tool) or Path("/", tool).exists())]
    reason = f"{', '.join(missing)} not installed: scripts/setup-tests installs what tests use"
    return pytest.mark.skipif(bool(missing), reason=reason)


def compilers(*names: str) -> list[str]:
    """Those of the names that are there; clang also from the Swift toolchain."""
    found = []
    for name in names:
        path = shutil.which(name)
        if path is None and (swift := shutil.which("swift")):
            path = shutil.which(name, path=str(Path(swift).resolve().parent))
        if path:
            found.append(path)
    return found


def declared() -> list[str]:
    """The functions of the header, in its order."""
    text = re.sub(r"/\*.*?\*/|^#.*?$", "", HEADER.read_text(), flags=re.DOTALL | re.MULTILINE)
    return re.findall(r"DIFFEO_API\s[^();]*?\b(\w+)\s*\(", text)
