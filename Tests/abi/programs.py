"""C programs that use the library: what is right, what is wrong, the same bits everywhere, no leaks."""

import os
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from common import INCLUDE, PROJECT, WARNINGS, Checks, Skip, compilers, output, wrong

HERE = PROJECT / "Tests/abi"
PROGRAMS = "smoke", "abuse", "threads", "allocations", "determinism"
MEMCHECK = (
    "valgrind -q --error-exitcode=99 --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite "
    f"--fair-sched=yes --suppressions={HERE / 'valgrind.supp'}"
)


def checks(library: Path, folder: Path) -> Checks:
    found = compilers("cc", "gcc", "clang")
    if not found:
        yield "programs", Skip("there is no C compiler")
        return
    for name in PROGRAMS:
        yield f"{name} compiles", build(found[0], name, folder)
    yield "smoke", wrong(folder / "smoke", folder)
    yield "abuse", wrong(folder / "abuse", folder)
    yield "threads", wrong(folder / "threads")
    yield "allocations", wrong(folder / "allocations")
    yield from determinism(folder)
    yield from memcheck(library, folder)


def build(compiler: str, name: str, folder: Path, *flags: str) -> str:
    flags = ("-std=gnu11", "-g", "-pthread", *flags, *WARNINGS, *INCLUDE)
    return wrong(compiler, *flags, HERE / f"{name}.c", "-o", folder / name, "-lm", "-ldl")


def determinism(folder: Path) -> Checks:
    """FMA instruction sets give the same bits, the baseline has its own, emulated machines give those of real ones."""
    processor = Path("/proc/cpuinfo").read_text()
    has = {"baseline": True, "avx2": " avx2" in processor and " fma" in processor, "avx512": " avx512vl" in processor}
    sums = {}
    for isa in has:
        sums[isa], problem = checksums(folder, [], DIFFEO_MAX_ISA=isa)
        yield f"determinism, at most {isa}", problem
    if has["avx512"]:
        yield "avx512 gives the bits of avx2", same(sums["avx512"], sums["avx2"])
    else:
        yield "avx512 gives the bits of avx2", Skip("this machine has no AVX-512")

    # The C library chooses its own functions by the processor, too: without FMA where the emulated one has none.
    plain = {"GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-FMA4,-AVX2_Usable,-FMA_Usable,-FMA4_Usable"}
    qemu = shutil.which("qemu-x86_64")
    for model, isa, like in ("Nehalem", "baseline", plain), ("Haswell", "avx2", {}):
        name = f"an emulated {model} gives the bits of {isa}"
        if not qemu:
            yield name, Skip("qemu-x86_64 is not installed (Debian: qemu-user)")
        elif not has[isa]:
            yield name, Skip(f"this machine has no {isa}")
        else:
            expected, problem = checksums(folder, [], "26", DIFFEO_MAX_ISA=isa, **like)
            found, problem_there = checksums(folder, [qemu, "-cpu", model], "26")
            yield name, problem or problem_there or same(found, expected)


def checksums(folder: Path, runner: list[str], *arguments: str, **environment: str) -> tuple[list[str], str]:
    done = subprocess.run(
        [*runner, str(folder / "determinism"), *arguments], capture_output=True, text=True, env=os.environ | environment
    )
    return re.findall(r"^checksum (.*)", done.stdout, re.M), "" if done.returncode == 0 else done.stdout + done.stderr


def same(found: list[str], expected: list[str]) -> str:
    return "" if found == expected and found else f"\n{found}\ndiffers from\n{expected}"


def memcheck(library: Path, folder: Path) -> Checks:
    """With few rounds and without children: valgrind is fifty times slower."""
    if not shutil.which("valgrind"):
        yield "memcheck", Skip("valgrind is not installed")
        return
    # Without line numbers, which this valgrind may be too old to read.
    bare = folder / "bare.so"
    output("strip", "--strip-debug", "-o", bare, library)
    environment = os.environ | {"DIFFEO_LIBRARY": str(bare), "NO_FORK": "1", "MEMCHECK": "1"}

    def run(arguments: tuple[str, ...]) -> str:
        return wrong(*MEMCHECK.split(), folder / arguments[0], *arguments[1:], env=environment)

    programs = ("abuse", str(folder), "100"), ("smoke", str(folder)), ("threads", "4")
    with ThreadPoolExecutor(2) as pool:
        for arguments, problem in zip(programs, pool.map(run, programs), strict=True):
            yield f"memcheck of {arguments[0]}", problem
