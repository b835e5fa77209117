"""Samples are where the density is: of every named flow, on heavy tails and on the data sets of docs/learning.md."""

from pathlib import Path

import numpy as np
import pytest

diffeo = pytest.importorskip("diffeo")

DATA = Path(__file__).resolve().parents[3] / "shared/data"
FLOWS = [
    "nice", "realnvp", "glow", "maf", "iaf", "planar", "radial", "cdf_flow", "spline_coupling", "spline_autoregressive",
    "made",
]  # fmt: skip
# Of the data, by column: how far beyond its ends a sample may be of a flow that was trained for five epochs.
RANGES = 100
ROWS = 4000


def student(rng):
    return rng.standard_t(3, size=(ROWS, 4))


def heavier(rng):
    return rng.standard_t(1.5, size=(ROWS, 3))


def log_normal(rng):
    return np.exp(2 * rng.normal(size=(ROWS, 3)))


def clusters(rng):
    return rng.normal(size=(ROWS, 3)) * 0.01 + rng.integers(-3, 4, size=(ROWS, 3))


def measured(name):
    def rows(rng):
        h5py = pytest.importorskip("h5py", reason="h5py is not installed")
        if not (DATA / f"{name}.h5").exists():
            pytest.skip(f"there is no {DATA / name}.h5")
        with h5py.File(DATA / f"{name}.h5") as file:
            x = file["train"][:]
        return x[rng.choice(len(x), min(ROWS, len(x)), replace=False)]

    return rows


SETS = {f.__name__: f for f in (student, heavier, log_normal, clusters)} | {
    name: measured(name) for name in ("gw150914_posterior", "htru2", "magic", "power_6months", "gaia_dr3_g10")
}


@pytest.mark.parametrize("data", SETS)
@pytest.mark.parametrize("flow", FLOWS)
def test_samples_are_where_the_density_is(flow, data):
    x = SETS[data](np.random.default_rng(0)).astype(np.float32)
    trained = getattr(diffeo, flow)(dim=x.shape[1])
    trained.fit(x, max_epochs=5, progress=False)
    samples, log_prob = trained.sample_and_log_prob(100_000, seed=1)
    assert np.isfinite(samples).all()
    reach = np.ptp(x, axis=0)
    beyond = np.maximum(x.min(axis=0) - samples, samples - x.max(axis=0)) / reach
    assert beyond.max() < RANGES
    # By the way back the same density: to what float32 makes of numbers of this size.
    again = trained.log_prob(samples)
    assert np.median(abs(again - log_prob)) < 1e-4
    assert (abs(again - log_prob) > 0.05 * (1 + abs(log_prob))).mean() < 1e-4
