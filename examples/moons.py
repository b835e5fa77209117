"""Two interleaved half circles with noise 0.1, for the examples."""

import numpy as np


def moons(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Points [n, 2], and which moon each is of, 0 or 1."""
    rng = np.random.default_rng(seed)
    angle, moon = rng.uniform(0, np.pi, n), np.arange(n) % 2
    x = np.where(moon, 1 - np.cos(angle), np.cos(angle))
    y = np.where(moon, 0.5 - np.sin(angle), np.sin(angle))
    return np.stack([x, y], axis=1) + rng.normal(0, 0.1, (n, 2)), moon
