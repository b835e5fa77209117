"""The demo's own pictures: the sky, and a sheet of digits. The others are those of `diffeo.plot`."""

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure


def sky(panels: dict[str, np.ndarray]) -> Figure:
    """Density of stars over the sky in galactic coordinates, equal areas (Mollweide)."""
    fig = Figure((6.2 * len(panels), 4.0), layout="tight")
    for i, (title, x) in enumerate(panels.items()):
        ax = fig.add_subplot(1, len(panels), i + 1, projection="mollweide")
        # A flow knows no edges: a few samples lie beyond the poles.
        longitudes, latitudes = np.radians(x[np.abs(x[:, 1]) <= 90, :2].T)
        counts, longitude, sine = np.histogram2d(
            longitudes, np.sin(latitudes), bins=(120, 60), range=[[-np.pi, np.pi], [-1, 1]])
        # Longitude grows to the left, as on the sky.
        ax.pcolormesh(-longitude, np.arcsin(sine), np.maximum(counts.T, 0.5), cmap="magma",
                      norm=LogNorm(5, 400), rasterized=True)
        ax.set_title(title)
        ax.set_xticklabels([])
        ax.set_yticklabels([])
    fig.suptitle("Stars brighter than G = 10, galactic coordinates")
    return fig


def digits(samples: np.ndarray) -> Figure:
    """A sheet of images [n, 1, height, width] of counts 0 to 16."""
    fig = Figure((7, 3.2), layout="tight")
    axes = fig.subplots(5, len(samples) // 5)
    for ax, image in zip(axes.flat, samples, strict=True):
        ax.imshow(np.floor(image[0]).clip(0, 16), cmap="gray_r", vmin=0, vmax=16)
        ax.set_axis_off()
    fig.suptitle("Samples of a Glow, temperature 0.7")
    return fig
