"""The fixtures: flows that were converted, against what their libraries computed (make.py)."""

from pathlib import Path

import diffeo
import h5py
import numpy as np
import pytest

FILES = sorted((Path(__file__).parent / "fixtures").glob("*.h5"))
fixtures = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)


def test_there_are_fixtures():
    assert len(FILES) > 90


@pytest.fixture
def theirs(path):
    with h5py.File(path) as file:
        return {name: values[:] for name, values in file["golden"].items()}


def close(ours, theirs, tolerance):
    assert ours.shape == theirs.shape
    worst = np.max(np.abs(ours - theirs) / (1 + np.abs(theirs)))
    assert worst <= tolerance, f"worst error {worst:.1e}"


@fixtures
def test_density(path, theirs):
    flow, context = diffeo.load(path), theirs.get("context")
    close(flow.log_prob(theirs["x"], context), theirs["log_prob"], 1e-10)
    z, log_det = flow.to_noise(theirs["x"], context)
    close(z, theirs["z"], 1e-10)
    close(log_det, theirs["log_det"], 1e-10)


@fixtures
def test_way_back(path, theirs):
    flow, context = diffeo.load(path), theirs.get("context")
    x, log_det = flow.from_noise(theirs["z"], context)
    close(x, theirs.get("from_noise", theirs["x"]), 1e-8)
    close(log_det, theirs.get("from_noise_log_det", -theirs["log_det"]), 1e-8)


@fixtures
def test_float32(path, theirs, tmp_path):
    """To 1e-4, or four times what the library itself is off by in float32 on the same rows."""
    narrow, context = tmp_path / "narrow.h5", theirs.get("context")
    narrow.write_bytes(path.read_bytes())
    with h5py.File(narrow, "r+") as file:
        file.attrs["dtype"] = "float32"
        file.pop("self_test", None)
    flow = diffeo.load(narrow)
    assert flow.dtype == np.float32
    exact = theirs["log_prob"]
    own = np.max(np.abs(theirs.get("log_prob_float32", exact) - exact) / (1 + np.abs(exact)))
    close(flow.log_prob(theirs["x"], context), exact, max(1e-4, 4 * own))
