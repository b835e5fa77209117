"""Diffeo's flows inside the packages that have flows: each example runs, and comes to what is known.

The numbers of the package's own flow are printed beside them, and not judged here.
"""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

CLIENTS = Path(__file__).resolve().parents[2] / "examples/clients"
LOG_EVIDENCE = -11.98  # of nessai_flow.py and pocomc_flow.py: -4 log(20)


def table(name, package, size, folder):
    """The numbers of each line of what the example prints, by its first word."""
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed: scripts/setup-clients does it")
    done = subprocess.run(
        [sys.executable, CLIENTS / f"{name}.py", str(size)], cwd=folder, capture_output=True, text=True, timeout=1800
    )
    assert done.returncode == 0, done.stderr
    words = [line.replace("+-", " ").split() for line in done.stdout.splitlines()]
    return {line[0]: [float(word) for word in line[1:]] for line in words if line and line[0] in {"diffeo", "grid"}}


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
