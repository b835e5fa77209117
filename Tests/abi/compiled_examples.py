"""The examples in C, C++ and Fortran: they compile without a warning and do what they say."""

import os
from pathlib import Path

from common import INCLUDE, PROJECT, SONAME, WARNINGS, Checks, Skip, compilers, wrong

# In this order: training writes the file that others read.
PROGRAMS = (
    ("training.c", ["cc", "gcc", "clang"], ["-std=c99"]),
    ("density.c", ["cc", "gcc", "clang"], ["-std=c99"]),
    ("sampling.c", ["cc", "gcc", "clang"], ["-std=c99"]),
    ("conditional.c", ["cc", "gcc", "clang"], ["-std=c99"]),
    ("score.c", ["cc", "gcc", "clang"], ["-std=c99"]),
    ("torus.c", ["cc", "gcc", "clang"], ["-std=c99"]),
    ("dlopen_density.c", ["cc", "gcc", "clang"], ["-std=c99"]),
    ("sampler.cpp", ["c++", "g++", "clang++"], ["-std=c++11"]),
    ("density.f90", ["gfortran"], ["-std=f2008"]),
)


def checks(library: Path, folder: Path) -> Checks:
    # As it is installed: programs look for it by its SONAME.
    (folder / SONAME).symlink_to(library)
    environment = os.environ | {"LD_LIBRARY_PATH": str(folder)}
    for source, names, flags in PROGRAMS:
        found = compilers(*names)
        if not found:
            yield f"example {source}", Skip(f"{names[0]} is not installed")
            continue
        program = folder / source.replace(".", "_")
        if not source.endswith("f90"):
            flags = [*flags, *WARNINGS, *INCLUDE]
        link = ["-ldl"] if source.startswith("dlopen") else [library, "-lm"]
        path = PROJECT / "examples" / source
        arguments = [library] if source.startswith("dlopen") else []
        problem = wrong(found[0], *flags, "-O1", path, "-o", program, *link, cwd=folder)
        yield f"example {source}", problem or wrong(program, *arguments, env=environment, cwd=folder)
