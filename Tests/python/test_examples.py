"""The examples in Python run, and say what they should."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def run(name, folder):
    done = subprocess.run(
        [sys.executable, EXAMPLES / f"{name}.py"], cwd=folder, capture_output=True, text=True, timeout=60
    )
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
