#!/usr/bin/env python3
"""Instructions of some calls, counted by callgrind and held to instructions.txt: a slow-down seen without a clock.

They repeat to a thousandth. Another compiler gives others, and so does another HDF5 to loading: these are not compared.

    instructions.py --update [LIBRARY]     writes instructions.txt
"""

import os
import platform
import re
import shutil
import sys
import tempfile
from pathlib import Path

from common import PROJECT, Checks, Skip, compilers, output, wrong
from programs import build

TABLE = PROJECT / "Tests/abi/instructions.txt"
MORE, FEWER = 0.05, 0.10  # so many more fail; so many fewer are told, so that the table can follow


def checks(library: Path, folder: Path) -> Checks:
    expected = read()
    found, problem = count(library, folder)
    if problem:
        yield "instructions", problem
    elif found["compiler"] != expected["compiler"]:
        yield "instructions", Skip(f"those expected are of {expected['compiler']}, these of {found['compiler']}")
    else:
        for name in [name for name in expected if name not in ("compiler", "hdf5")]:
            if name.endswith("load") and found["hdf5"] != expected["hdf5"]:
                yield f"instructions of {name}", Skip(f"those expected are with {expected['hdf5']}")
            else:
                yield compare(name, int(found.get(name, 0)), int(expected[name]))


def compare(name: str, found: int, expected: int) -> tuple[str, str]:
    change = f"{found:,}, {found / expected - 1:+.1%} of the {expected:,} in {TABLE.name}"
    if found == 0 or found > (1 + MORE) * expected:
        return f"instructions of {name}", f"{change}; if it must be so: Tests/abi/instructions.py --update"
    if found < (1 - FEWER) * expected:
        return f"instructions of {name} ({change}: tighten it with Tests/abi/instructions.py --update)", ""
    return f"instructions of {name}", ""


def count(library: Path, folder: Path) -> tuple[dict[str, str], str]:
    """What instructions.txt has, of this library; and why not."""
    found = compilers("cc", "gcc", "clang")
    if not (found and shutil.which("valgrind") and Path("/usr/include/valgrind/callgrind.h").exists()):
        return {}, Skip("valgrind or a C compiler is not installed")
    if platform.machine() != "x86_64":
        return {}, Skip("those expected are of x86-64")
    if problem := build(found[0], "instructions", folder):
        return {}, problem
    bare = folder / "counted.so"  # as in memcheck
    output("strip", "--strip-debug", "-o", bare, library)
    # This valgrind has no AVX-512.
    environment = os.environ | {"DIFFEO_LIBRARY": str(bare), "DIFFEO_MAX_ISA": "avx2"}
    counts = folder / "counts"
    callgrind = f"valgrind -q --tool=callgrind --instr-atstart=no --callgrind-out-file={counts}"
    if problem := wrong(*callgrind.split(), folder / "instructions", folder, env=environment):
        return {}, problem
    texts = [path.read_text() for path in folder.glob("counts.*")]
    names = dict(re.findall(r"Client Request: (\S+).*^totals: (\d+)", text, re.M | re.S)[0] for text in texts)
    hdf5 = next((name for text in texts for name in re.findall(r"ob=.*/(libhdf5\S*)", text)), "no HDF5")
    compiler = re.search(r"clang version .*", output("readelf", "-p", ".comment", library))
    return {"compiler": compiler[0] if compiler else "an unknown compiler", "hdf5": hdf5} | names, ""


def read() -> dict[str, str]:
    return dict(line.split(None, 1) for line in TABLE.read_text().splitlines() if line and not line.startswith("#"))


def update(library: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        found, problem = count(library, Path(folder))
    if problem:
        sys.exit(problem)
    order = list(found)[:2] + sorted(list(found)[2:])
    TABLE.write_text(
        "# Instructions of one thread with at most AVX2; written by instructions.py --update.\n"
        + "".join(f"{name} {found[name]}\n" for name in order)
    )
    print(TABLE.read_text(), end="")


if __name__ == "__main__":
    if sys.argv[1:2] != ["--update"]:
        sys.exit(__doc__)
    update(Path(sys.argv[2] if len(sys.argv) > 2 else PROJECT / ".build/release/libdiffeo.so").resolve(strict=True))
