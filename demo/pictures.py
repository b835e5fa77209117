"""The demo's pictures: data beside samples, and the learning curves."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import LogNorm

import stars


def sky(path: Path, panels: dict[str, np.ndarray]) -> None:
    """Density of stars over the sky in galactic coordinates, equal areas (Mollweide)."""
    fig = plt.figure(figsize=(6.2 * len(panels), 4.0))
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
    finish(fig, path)


def colour_magnitude(path: Path, panels: dict[str, np.ndarray]) -> None:
    """G against BP - RP, and the two colours against each other."""
    fig, axes = plt.subplots(2, len(panels), figsize=(4.2 * len(panels), 8), squeeze=False)
    for i, (title, x) in enumerate(panels.items()):
        axes[0, i].hist2d(x[:, 3], x[:, 2], bins=(160, 120), range=[[-0.6, 4.5], [4, 10]], cmap="viridis",
                          norm=LogNorm(1, 1500))
        axes[0, i].invert_yaxis()
        axes[0, i].set(title=title, xlabel=stars.NAMES[3], ylabel=stars.NAMES[2])
        axes[1, i].hist2d(x[:, 3], x[:, 4], bins=(160, 120), range=[[-0.6, 4.5], [-0.3, 1.7]], cmap="viridis",
                          norm=LogNorm(1, 1500))
        axes[1, i].set(xlabel=stars.NAMES[3], ylabel=stars.NAMES[4])
    finish(fig, path)


def learning(path: Path, histories: dict[str, object], gaussian: float) -> None:
    fig, ax = plt.subplots(figsize=(7, 4.5))
    for i, (name, history) in enumerate(histories.items()):
        ax.plot(history.epoch, history.train_log_prob, f"C{i}--", lw=1, label=f"{name}, train")
        ax.plot(history.epoch, history.validation_log_prob, f"C{i}-o", ms=3, label=f"{name}, validation")
    ax.axhline(gaussian, color="0.4", ls=":", label="full-covariance Gaussian, test")
    best = max(max(h.validation_log_prob) for h in histories.values())
    ax.set(xlabel="epoch", ylabel="mean log-likelihood [nats]", ylim=(gaussian - 0.3, best + 0.3))
    ax.legend()
    finish(fig, path)


def digits(path: Path, samples: np.ndarray) -> None:
    """A sheet of images [n, 1, height, width] of counts 0 to 16."""
    fig, axes = plt.subplots(5, len(samples) // 5, figsize=(7, 3.2))
    for ax, image in zip(axes.flat, samples, strict=True):
        ax.imshow(np.floor(image[0]).clip(0, 16), cmap="gray_r", vmin=0, vmax=16)
        ax.set_axis_off()
    fig.suptitle("Samples of a Glow, temperature 0.7")
    finish(fig, path)


def finish(fig: plt.Figure, path: Path) -> None:
    fig.tight_layout()
    fig.savefig(path, dpi=110)
    plt.close(fig)
    print(f"  {path}")
