"""The examples in Python run, and say what they should."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def run(name, folder, *arguments, timeout=60):
    program = [sys.executable, EXAMPLES / f"{name}.py", *map(str, arguments)]
    done = subprocess.run(program, cwd=folder, capture_output=True, text=True, timeout=timeout)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder in which training.py has left its file."""
    folder = tmp_path_factory.mktemp("examples")
    assert "wrote moons.h5" in run("training", folder)
    return folder


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("density", r"sums to (0\.9[89]|1\.00)"),
        ("sampling", "the same"),
        ("conditional", "in moon 1"),
        ("score", "step 200"),
        ("weighted", r"second column 0\.[45]"),
        ("streaming", "wrote 1,000,000 samples"),
    ],
)
def test_example(name, pattern, folder):
    assert re.search(pattern, run(name, folder))


def test_digits(folder):
    """Ten epochs; then images that are no digits, of which blank ones are the likeliest of all."""
    digits = EXAMPLES / "digits.h5"
    assert float(re.match(r"(\S+) \+-", run("glow_digits", folder, digits, 10))[1]) < 2.6
    said = run("image_outliers", folder, digits)
    scores = {words[0]: words[1:] for words in re.findall(r"^(\w.*?)  +(\S+) +(\S+) +(\S+)$", said, re.M)}
    assert float(scores["noise"][1]) > 0.99
    assert float(scores["blank"][1]) < 0.05 and float(scores["blank"][2]) > 0.9


def with_error(name, folder, *arguments):
    """The number and its error that an example inside PyTorch ends with."""
    pytest.importorskip("torch", reason="PyTorch is not installed: make test-adapters")
    said = run(name, folder, *arguments, timeout=900)
    return map(float, re.findall(r"(-?\d+\.\d+) \+- (\d+\.\d+) nats", said)[-1])


def test_posterior_in_pytorch(tmp_path):
    divergence, error = with_error("torch_posterior", tmp_path, 500)
    assert -3 * error < divergence < 0.2


def test_autoencoder(tmp_path):
    pytest.importorskip("sklearn", reason="scikit-learn is not installed: make test-adapters")
    gain, error = with_error("vae_iaf", tmp_path)
    assert gain > 3 * error
