"""The demo's own picture, the sky. The others are those of `diffeo.plot`."""

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

LETTERS = 22  # points: pages show a picture so wide at half its size


def sky(panels: dict[str, np.ndarray]) -> Figure:
    """Density of stars over the sky in galactic coordinates, equal areas (Mollweide)."""
    fig = Figure((6.2 * len(panels), 4.4), layout="constrained")
    for i, (title, x) in enumerate(panels.items()):
        ax = fig.add_subplot(1, len(panels), i + 1, projection="mollweide")
        # A flow knows no edges: a few samples lie beyond the poles.
        longitudes, latitudes = np.radians(x[np.abs(x[:, 1]) <= 90, :2].T)
        counts, longitude, sine = np.histogram2d(
            longitudes, np.sin(latitudes), bins=(120, 60), range=[[-np.pi, np.pi], [-1, 1]])
        # Longitude grows to the left, as on the sky.
        ax.pcolormesh(-longitude, np.arcsin(sine), np.maximum(counts.T, 0.5), cmap="magma",
                      norm=LogNorm(5, 400), rasterized=True)
        ax.set_title(title, fontsize=LETTERS)
        ax.set_xticklabels([])
        ax.set_yticklabels([])
    fig.suptitle("Stars brighter than G = 10, galactic coordinates", fontsize=LETTERS)
    return fig
