"""The shared library as a file: what it exports, what it needs, how large it is."""

import re
import shutil
from pathlib import Path

from common import NODE, SONAME, Checks, Skip, declared, differences, output

NEEDED = r"libhdf5(_serial)?\.so\.\d+|libc\.so\.6|libm\.so\.6|libstdc\+\+\.so\.6|libgcc_s\.so\.1|ld-linux-x86-64\.so\.2"


def checks(library: Path, folder: Path) -> Checks:
    if not all(map(shutil.which, ("nm", "readelf", "strip"))):
        yield "binary", Skip("nm, readelf and strip are not installed")
        return

    table = output("nm", "-D", "--defined-only", "--extern-only", library)
    exported = set(re.findall(r"^\S* [A-Z] (\S+)", table, re.M))
    problem = differences(exported - {NODE}, {f"{name}@@{NODE}" for name in declared()})
    yield f"exports the functions of the header at node {NODE}, and nothing else", problem

    dynamic = output("readelf", "-dW", library)
    needed = re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic)
    yield "needs HDF5 and the C library only", " ".join(n for n in needed if not re.fullmatch(NEEDED, n))
    soname = re.findall(r"\(SONAME\).*\[(.*)\]", dynamic)
    yield f"its SONAME is {SONAME}", "" if soname == [SONAME] else f"it is {soname}"
    paths = re.findall(r"\((?:RPATH|RUNPATH)\).*\[(.*)\]", dynamic)
    yield "searches nowhere but beside itself", " ".join(path for path in paths if path != "$ORIGIN")

    stripped = folder / "libdiffeo.so"
    output("strip", "--strip-unneeded", "-o", stripped, library)
    megabytes = stripped.stat().st_size / 1e6
    yield f"at most 10 MB stripped ({megabytes:.1f})", "" if megabytes <= 10 else f"it has {megabytes:.1f}"
    foundation = set(re.findall(r"\S*(?:10Foundation|20FoundationEssentials)\S*", output("nm", library)))
    yield "no Foundation inside", " ".join(sorted(foundation)[:5])

    # A weak function of the AVX-512 objects, kept by the linker for all, would run on machines without AVX-512.
    objects = sorted(library.parent.glob("Kernels*.build/**/*.o"))
    if not objects:
        yield "kernels have no weak functions", Skip(f"no objects beside {library}")
        return
    symbols = {path: output("readelf", "-sW", path) for path in objects}
    weak = [
        f"{path.parent.name}/{path.name}: {name}"
        for path, table in symbols.items()
        for name in re.findall(r" FUNC +WEAK +\S+ +(?!UND)\S+ (\S+)", table)
    ]
    yield f"kernels have no weak functions ({len(objects)} objects)", "\n".join(weak[:20])
