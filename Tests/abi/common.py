"""What the checks share."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
HEADER = PROJECT / "include/diffeo.h"
SONAME = (PROJECT / "abi/diffeo.abi").read_text().split()[1]
NODE = SONAME.replace("libdiffeo.so.", "DIFFEO_")
WARNINGS = ["-Wall", "-Wextra", "-pedantic", "-Werror"]
INCLUDE = [f"-I{PROJECT / 'include'}", f"-I{PROJECT / 'bindings/c'}"]

Checks = Iterator[tuple[str, "str | Skip"]]


class Skip(str):
    """Why a check cannot be made here."""


def output(*command: object, **options: object) -> str:
    """What a command prints; raises when it fails."""
    return subprocess.run([str(c) for c in command], check=True, capture_output=True, text=True, **options).stdout


def wrong(*command: object, **options: object) -> str:
    """Nothing when a command succeeds, else what it printed."""
    try:
        done = subprocess.run(
            [str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=600, **options
        )
    except subprocess.TimeoutExpired:
        return "no end after 600 s"
    if done.returncode == 0:
        return ""
    return f"exit {done.returncode}\n{done.stdout.decode(errors='replace')[-3000:].rstrip()}"


def differences(found: set[str], expected: set[str]) -> str:
    parts = [f"without {' '.join(sorted(expected - found))}"] if expected - found else []
    parts += [f"with also {' '.join(sorted(found - expected))}"] if found - expected else []
    return "; ".join(parts)


def declared() -> list[str]:
    """The functions of the header, in its order."""
    text = re.sub(r"/\*.*?\*/|^#.*?$", "", HEADER.read_text(), flags=re.DOTALL | re.MULTILINE)
    return re.findall(r"DIFFEO_API\s[^();]*?\b(\w+)\s*\(", text)


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
