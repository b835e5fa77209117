"""The examples in C, C++ and Fortran: they compile without a warning and do what they say."""

import os
import re

import numpy as np
import pytest
from support import INCLUDE, PROJECT, SONAME, WARNINGS, compilers, needs, run

LANGUAGES = {
    "c": (["cc", "gcc", "clang"], ["-std=c99", *WARNINGS, *INCLUDE]),
    "cpp": (["c++", "g++", "clang++"], ["-std=c++17", *WARNINGS, *INCLUDE]),
    "f90": (["gfortran"], ["-std=f2018", PROJECT / "include/diffeo.f90"]),
}


@pytest.fixture(scope="module")
def example(library, tmp_path_factory):
    """Compiles an example and runs it, in a folder with the library by its SONAME, which programs look for."""
    folder = tmp_path_factory.mktemp("examples")
    (folder / SONAME).symlink_to(library)
    environment = os.environ | {"LD_LIBRARY_PATH": str(folder)}

    def ran(name, *arguments):
        compiler, flags = LANGUAGES[name.partition(".")[2]]
        program = folder / name.replace(".", "_").replace("/", "_")
        loads = "diffeo_loader.h" in (PROJECT / "examples" / name).read_text()
        link = ["-ldl"] if loads else [library, "-lm"]
        run(compilers(*compiler)[0], *flags, "-O1", PROJECT / "examples" / name, "-o", program, *link, cwd=folder)
        return run(program, *([library] if loads else []), *map(str, arguments), env=environment, cwd=folder)

    return ran


@pytest.fixture(scope="module")
def trained(example):
    """What training.c has written, others read."""
    return example("training.c")


@needs("cc")
def test_training(trained):
    assert trained


@needs("cc")
@pytest.mark.parametrize("name", ["density", "sampling", "conditional", "score", "torus", "dlopen_density"])
def test_c(name, trained, example):
    assert example(f"{name}.c")


@needs("cc")
def test_table(example):
    """Hours go round, and who pays how is as the rows were drawn: cash below 6, else 0.7 and 0.3."""
    printed = example("table.c")
    first, second = re.search(r"24.1 hours: (\S+), (\S+)$", printed, re.M).groups()
    assert first == second
    paid = np.array(re.findall(r"cash (\S+), card (\S+), on account (\S+)$", printed, re.M), float)
    np.testing.assert_allclose(paid, [[1, 0, 0], [0, 0.7, 0.3]], atol=0.15)
    hours, amounts, things, payments = np.array([line.split() for line in printed.splitlines()[-5:]], float).T
    assert ((hours >= 0) & (hours <= 24)).all()
    assert (amounts > 0).all()
    assert (things >= 0).all()
    assert set(payments) <= {0, 1, 2}


@needs("cc")
def test_serve(trained, example):
    """Without a box of a prior all samples count; with one `make test-clients` compares it with sbi."""
    *rows, last = example("clients/serve.c", "moons.h5", 3).splitlines()
    assert np.array([row.split() for row in rows], float).shape == (3, 3)
    assert last == "inside of the prior: 1.0000"


@needs("cc")
def test_resume(example):
    assert "begins after 0 epochs" in example("resume.c")
    again = example("resume.c")
    assert "begins after 6 epochs" in again
    assert "finished" in again


@needs("cc")
def test_vi(example):
    """Means and deviations are those of 10,000 draws of posteriordb: mu 4.41, 3.31; tau 3.60, 3.20."""
    printed = example("vi.c")
    found = re.findall(r"^(?:mu |tau) (\S+) \+- (\S+)$", printed, re.M)
    assert np.array(found, float) == pytest.approx(np.array([[4.41, 3.31], [3.60, 3.20]]), abs=0.35)
    assert float(re.search(r"k-hat (\S+)$", printed, re.M)[1]) < 0.7


@needs("cc")
def test_glow_digits(example):
    """Ten epochs of it."""
    printed = example("glow_digits.c", PROJECT / "examples/digits.h5", 10)
    bits = [float(number) for number in re.findall(r"epoch +\d+: (\S+) bits", printed)]
    assert len(bits) == 2
    assert bits[1] < bits[0] < 3
    assert "wrote glow-digits.pgm" in printed


@needs("c++")
def test_cpp(trained, example):
    assert example("sampler.cpp")


@needs("gfortran")
def test_fortran(trained, example):
    assert example("density.f90")
