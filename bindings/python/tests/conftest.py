"""Data and flows that many tests share."""

import os

import diffeo
import numpy as np
import pytest

LENGTH = int(os.environ.get("DIFFEO_TEST_LENGTH", "1"))  # tests marked long go so many times as far


def two_moons(n, seed):
    """Two interleaved half circles with noise 0.1: [n, 2], float64."""
    rng = np.random.default_rng(seed)
    angle, lower = rng.uniform(0, np.pi, n), rng.random(n) < 0.5
    x = np.where(lower, 1 - np.cos(angle), np.cos(angle))
    y = np.where(lower, 0.5 - np.sin(angle), np.sin(angle))
    return np.stack([x, y], axis=1) + rng.normal(0, 0.1, (n, 2))


def regression(n, seed):
    """Rows x [n, 3] whose mean and spread depend on a context [n, 2]."""
    rng = np.random.default_rng(seed)
    context = rng.normal(1.0, 2.0, (n, 2))
    x = rng.normal(size=(n, 3)) * np.exp(0.2 * context[:, :1]) + context @ [[1.0, 0.5, 0.0], [0.0, -0.5, 1.0]]
    return x, context


def gradient_by_differences(function, x, step=1e-5):
    columns = []
    for j in range(x.shape[1]):
        h = step * np.eye(x.shape[1])[j]
        columns.append((function(x + h) - function(x - h)) / (2 * step))
    return np.stack(columns, axis=1)


@pytest.fixture(scope="session")
def moons():
    return two_moons(4000, seed=1)


@pytest.fixture(scope="session")
def trained_bytes(moons):
    flow = diffeo.maf(dim=2, transforms=4, hidden=(32, 32), dtype="float64", seed=3)
    flow.fit(moons, max_epochs=8, batch_size=256, lr=3e-3, progress=False)
    flow.metadata["data"] = "two moons"
    return flow.to_bytes()


@pytest.fixture
def trained(trained_bytes):
    """A float64 flow without context that is no longer near the identity."""
    return diffeo.from_bytes(trained_bytes)


@pytest.fixture(scope="session")
def conditional_bytes():
    x, context = regression(3000, seed=2)
    flow = diffeo.maf(dim=3, transforms=3, hidden=(32,), context_dim=2, activation="tanh", dtype="float64", seed=4)
    flow.fit(x, context, max_epochs=6, batch_size=256, lr=3e-3, progress=False)
    return flow.to_bytes()


@pytest.fixture
def conditional(conditional_bytes):
    """A float64 flow of dim 3 with context_dim 2, smooth."""
    return diffeo.from_bytes(conditional_bytes)


@pytest.fixture(autouse=True)
def keep_num_threads():
    before = diffeo.get_num_threads()
    yield
    diffeo.set_num_threads(before)
