"""Diffeo's flows inside the packages that have flows: each example runs, and comes to what is known.

The numbers of the package's own flow are printed beside them, and judged where they have to be the same: flows that are
taken out of a package, served from C and put back.
"""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CLIENTS = ROOT / "examples/clients"
LOG_EVIDENCE = -11.98  # of nessai_flow.py and pocomc_flow.py: -4 log(20)


def printed(folder, *command):
    """The words of each line that a program prints."""
    done = subprocess.run([*map(str, command)], cwd=folder, capture_output=True, text=True, timeout=1800)
    assert done.returncode == 0, done.stderr
    return [line.replace("+-", " ").replace(",", " ").split() for line in done.stdout.splitlines() if line.strip()]


def example(name, package, size, folder):
    """The words of each line that the example prints."""
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed: scripts/setup-clients does it")
    return printed(folder, sys.executable, CLIENTS / f"{name}.py", size)


def table(name, package, size, folder, rows=("diffeo", "grid")):
    """The numbers of each row of what the example prints, by its first word."""
    return {line[0]: numbers(line[1:]) for line in example(name, package, size, folder) if line[0] in rows}


def numbers(words):
    return [float(word) for word in words]


def columns(lines):
    """Lines of numbers alone, by column."""
    return list(zip(*(numbers(line) for line in lines if all("." in word for word in line)), strict=True))


def serve(folder, *arguments):
    """The lines that serve.c prints, which opens the library at run time."""
    program, include = folder / "serve", [f"-I{ROOT / 'include'}", f"-I{ROOT / 'bindings/c'}"]
    printed(folder, "cc", "-std=c11", "-Wall", "-Werror", *include, CLIENTS / "serve.c", "-o", program, "-ldl")
    return printed(folder, program, os.environ["DIFFEO_LIBRARY"], *arguments)


def test_sbi(tmp_path):
    found = table("sbi_posterior", "sbi", 800, tmp_path)
    _, divergence, *moments = found["diffeo"]
    assert 0 < divergence < 0.25
    assert moments == pytest.approx(found["grid"], abs=0.15)


def test_nessai(tmp_path):
    _, log_evidence, error, mean, deviation = table("nessai_flow", "nessai", 300, tmp_path)["diffeo"]
    assert 0 < error < 0.3
    assert abs(log_evidence - LOG_EVIDENCE) < 4 * error
    assert (mean, deviation) == pytest.approx((0, 1.5), abs=0.3)


def test_pocomc(tmp_path):
    _, log_evidence, error, mean, deviation = table("pocomc_flow", "pocomc", 128, tmp_path)["diffeo"]
    assert 0 < error < 0.1
    assert abs(log_evidence - LOG_EVIDENCE) < 4 * error
    assert (mean, deviation) == pytest.approx((0, 1.5), abs=0.3)


def test_pyro(tmp_path):
    found = table("pyro_guide", "pyro", 400, tmp_path)
    (_, bound, *moments), (log_evidence, *expected) = found["diffeo"], found["grid"]
    assert log_evidence - 0.1 < bound < log_evidence + 0.01
    assert moments == pytest.approx(expected, abs=0.06)


def test_emcee(tmp_path):
    found = table("emcee_proposal", "emcee", 3000, tmp_path, rows=("emcee", "diffeo"))
    (_, _, before, *_), (_, accepted, after, mean, deviation) = found["emcee"], found["diffeo"]
    assert accepted > 0.5
    assert after < before / 5
    assert (mean, deviation) == pytest.approx((0, 1.5), abs=0.1)


def test_sbi_in_c(tmp_path):
    lines = example("sbi_in_c", "sbi", 600, tmp_path)
    served = serve(tmp_path, "posterior.h5", 5, 0.2, 0.8)
    *theta, theirs, ours, back = columns(lines)
    assert len(theirs) == 5
    assert ours == pytest.approx(theirs, abs=1e-4)
    assert back == pytest.approx(theirs, abs=1e-4)
    *of_c, log_prob = columns(served)
    for found, expected in zip(of_c, theta, strict=True):
        assert found == pytest.approx(expected, abs=2e-6)
    assert log_prob == pytest.approx(theirs, abs=1e-4)

    (shares,) = (line for line in lines if line[:2] == ["inside", "of"])
    of_sbi, of_diffeo, of_back = numbers(shares[5::2])
    assert 0.5 < of_diffeo < 0.99  # it leaks
    assert (of_sbi, of_back) == pytest.approx((of_diffeo, of_diffeo), abs=0.02)  # from 10,000 draws
    assert float(served[-1][-1]) == of_diffeo


def test_nessai_in_c(tmp_path):
    *x, theirs, ours, back = columns(example("nessai_in_c", "nessai", 60, tmp_path))
    *of_c, log_prob = columns(serve(tmp_path, "proposal.h5", 5))
    assert len(theirs) == 5
    for found in ours, back, log_prob:
        assert found == pytest.approx(theirs, abs=1e-4)
    for found, expected in zip(of_c, x, strict=True):
        assert found == pytest.approx(expected, abs=2e-6)
