"""C programs that use the library: what is right, what is wrong, the same bits everywhere, no leaks."""

import os
import platform
import re
from functools import cache
from pathlib import Path

import pytest
from support import HERE, INCLUDE, LENGTH, PROJECT, WARNINGS, compilers, needs, run

MEMCHECK = (
    "valgrind -q --error-exitcode=99 --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite "
    f"--fair-sched=yes --suppressions={HERE / 'valgrind.supp'}"
)
# Parts of the programs that go together under valgrind, which is fifty times slower: with few rounds.
PARTS = {
    "smoke": {
        "autoregressive": "maf iaf cdf_flow spline_autoregressive torus_spline_autoregressive",
        "coupling": "realnvp nice glow spline_coupling torus_spline_coupling",
        "units": "planar radial linear units mixtures bounded",
        "images": "convolutions images",
        "others": "version layers networks bases integers table turns training inference optimizers",
    },
    "abuse": {
        "arrays": "evaluation_f32 evaluation_f64 parameters_f32 parameters_f64 training_f32 training_f64",
        "building": "building",
        "files": "files",
        "images": "images",
        "reading": "reading",
        "others": "handles sizes gradients targets optimizers training_options bounds words",
    },
}
PROCESSOR = Path("/proc/cpuinfo").read_text()
# The builds of the kernels, and whether this machine runs them.
HAS = {"baseline": True, "avx2": " avx2" in PROCESSOR and " fma" in PROCESSOR, "avx512": " avx512vl" in PROCESSOR}
if platform.machine() != "x86_64":
    HAS = {"portable": True}


@pytest.mark.parametrize(
    "name",
    [
        "smoke",
        "abuse",
        "threads",
        "allocations",
        "scarce",
        "forks",
        "names",
        "soak",
        "other_hdf5",
        "determinism",
        "instructions",
    ],
)
def test_compiles(name, program):
    if name == "instructions" and not Path("/usr/include/valgrind/callgrind.h").exists():
        pytest.skip("valgrind/callgrind.h not installed: scripts/setup-tests installs what tests use")
    assert program(name).exists()


def test_smoke(program, tmp_path):
    run(program("smoke"), tmp_path)


@pytest.mark.long
def test_abuse(program, tmp_path):
    """With files cut off anywhere, and so many with bits turned."""
    run(program("abuse"), tmp_path, 4000 * LENGTH)


@pytest.mark.long
def test_threads(program):
    run(program("threads"), 60 * LENGTH)


def test_allocations(program, tmp_path):
    run(program("allocations"), cwd=tmp_path)


@pytest.mark.long
def test_files_that_ended_a_process_are_refused(library, tmp_path):
    """What `make fuzz` found, on a heap that is full of what was there before, one file of every kind, and calls."""
    files = sorted(
        file for kind in ("fuzz/corpus", "fuzz/data", "files/*") for file in PROJECT.glob(f"Tests/{kind}/*.h5")
    )
    fuzz = tmp_path / "fuzz"
    found = compilers("cc", "gcc", "clang")
    if not found:
        pytest.skip("there is no C compiler (scripts/setup-system installs one)")
    run(found[0], "-O2", "-std=gnu11", *WARNINGS, *INCLUDE, HERE.parent / "fuzz/fuzz.c", "-o", fuzz, "-ldl")
    with_little_stack = "sh", "-c", 'ulimit -s 256; exec "$@"', "sh"
    run(*with_little_stack, fuzz, 0, 1, tmp_path, *files, env=os.environ | {"MALLOC_PERTURB_": "165"})
    run(fuzz, 1000 * LENGTH, 2, tmp_path)  # sequences of calls


def test_scarce_memory(program, tmp_path):
    run(program("scarce"), tmp_path)


@pytest.mark.long
def test_forks(program, tmp_path):
    run(program("forks"), 40 * LENGTH, tmp_path)


@pytest.mark.long
def test_soak(program, tmp_path):
    run(program("soak"), 5 * LENGTH, tmp_path)


def test_names(program, tmp_path):
    run(program("names"), tmp_path)


# A host that traps floating-point exceptions, rounds upwards and flushes denormal numbers: see hostile.h.


@pytest.mark.skipif(platform.machine() != "x86_64", reason="for x86-64")
@pytest.mark.parametrize(("name", "arguments"), [("smoke", ["."]), ("abuse", [".", "0"]), ("threads", ["4"])])
def test_leaves_the_floating_point_environment_alone(name, arguments, program, tmp_path):
    run(program(name), *arguments, cwd=tmp_path, env=os.environ | {"HOSTILE": "1"})


# ----------------------------------------------------------------------------------------------------- determinism
# FMA instruction sets give the same bits, the baseline has its own, emulated machines give those of real ones.


@pytest.fixture(scope="session")
def checksums(program):
    """Of a run, each made once: of so many rows, under a runner, with the variables of an environment."""

    @cache
    def made(*arguments, runner=(), **environment):
        printed = run(*runner, program("determinism"), *arguments, env=os.environ | environment)
        found = re.findall(r"^checksum (.*)", printed, re.M)
        assert found
        return found

    return made


@pytest.mark.slow
@pytest.mark.parametrize("isa", HAS)
def test_determinism(isa, checksums):
    assert checksums(DIFFEO_MAX_ISA=isa)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="for x86-64")
def test_a_hostile_host_gets_the_bits_of_others(checksums):
    assert checksums("26", HOSTILE="1") == checksums("26")


@pytest.mark.skipif(not HAS.get("avx512"), reason="this machine has no AVX-512")
def test_avx512_gives_the_bits_of_avx2(checksums):
    assert checksums(DIFFEO_MAX_ISA="avx512") == checksums(DIFFEO_MAX_ISA="avx2")


@pytest.mark.slow
@needs("qemu-x86_64")
@pytest.mark.parametrize(("model", "isa"), [("Nehalem", "baseline"), ("Haswell", "avx2")])
def test_an_emulated_machine_gives_the_bits_of_a_real_one(model, isa, checksums):
    if not HAS.get(isa):
        pytest.skip(f"this machine has no {isa}")
    # The C library chooses its own functions by the processor, too: without FMA where the emulated one has none.
    without = "glibc.cpu.hwcaps=-AVX2,-FMA,-FMA4,-AVX2_Usable,-FMA_Usable,-FMA4_Usable"
    like = {"GLIBC_TUNABLES": without} if isa == "baseline" else {}
    assert checksums("26", runner=("qemu-x86_64", "-cpu", model)) == checksums("26", DIFFEO_MAX_ISA=isa, **like)


# -------------------------------------------------------------------------------------------------------- memcheck


def memcheck(bare_library, *command):
    """Without children: valgrind does not follow them."""
    environment = os.environ | {"DIFFEO_LIBRARY": str(bare_library), "NO_FORK": "1", "MEMCHECK": "1"}
    run(*MEMCHECK.split(), *command, env=environment)


@pytest.mark.slow
@needs("valgrind")
@pytest.mark.parametrize("part", PARTS["smoke"])
def test_memcheck_of_smoke(part, program, bare_library, tmp_path):
    memcheck(bare_library, program("smoke"), tmp_path, *PARTS["smoke"][part].split())


@pytest.mark.slow
@pytest.mark.long
@needs("valgrind")
@pytest.mark.parametrize("part", PARTS["abuse"])
def test_memcheck_of_abuse(part, program, bare_library, tmp_path):
    if part == "files" and "diffeo_flow_load" not in run("nm", bare_library):
        pytest.skip("the library has no names, by which the blocks that HDF5 loses of damaged files would be told")
    memcheck(bare_library, program("abuse"), tmp_path, 100 * LENGTH, *PARTS["abuse"][part].split())


@pytest.mark.slow
@pytest.mark.long
@needs("valgrind")
def test_memcheck_of_threads(program, bare_library):
    memcheck(bare_library, program("threads"), 4 * LENGTH)


@pytest.mark.parametrize("name", PARTS)
def test_memcheck_takes_every_part(name, program, tmp_path):
    arguments = [tmp_path, "1"] if name == "abuse" else [tmp_path]
    printed = run(program(name), *arguments, "parts")
    taken = " ".join(PARTS[name].values()).split()
    assert sorted(taken) == sorted(re.findall(r"^part (\w+)", printed, re.M))
