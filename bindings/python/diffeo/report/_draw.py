"""The pictures of a report, as SVG to stand in a page: their colours are those of the page, and no two share an id."""

from __future__ import annotations

import io
import math
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import plot
from .._abi import Array
from .._extras import optional
from ..plot import DATA, FILL, FLOW, INK
from ._compute import Calibration, Classifier, Coverage, Likelihood, Marginal, NoiseSection
from ._rows import Rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST = 12  # panels
_VARIABLES = {INK: "currentColor", DATA: "var(--data)", FLOW: "var(--flow)"}


def svg(figure: Figure, key: str, words: str) -> str:
    """With the key before all ids, and words for who does not see it."""
    buffer = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    options = {"svg.fonttype": "none", "svg.hashsalt": key}
    with plot.style(), optional("matplotlib", "report", "report").rc_context(options):
        figure.savefig(buffer, format="svg", metadata=nothing)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r' xmlns(:\w+)?="[^"]*"', "", text).replace("xlink:href", "href")
    text = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{key}-", text)
    for colour, variable in _VARIABLES.items():
        text = re.sub(re.escape(colour), variable, text, flags=re.IGNORECASE)
    return text.replace("<svg", f'<svg role="img" aria-label="{words}"', 1)


def worst_columns(marginals: list[Marginal], most: int) -> list[int]:
    """Those in which data and samples differ most, in their own order."""
    return sorted(sorted(range(len(marginals)), key=lambda i: marginals[i].p)[:most])


def corner(rows: Rows, columns: list[int]) -> Figure:
    """Data and samples."""
    x, samples, context = rows.pairs()
    return plot.corner(rows.flow, x, context, samples=samples, columns=columns, names=rows.names)


def marginals(found: list[Marginal], columns: list[int]) -> Figure:
    """Histograms, and under each the ratio of data and samples with two standard errors."""
    with plot.style():
        across = min(len(columns), 4)
        down = math.ceil(len(columns) / across)
        figure = plot.new_figure(2.25 * across + 0.3, 2.3 * down)
        grid = figure.add_gridspec(down, across)
        for i, column in enumerate(columns):
            each = found[column]
            rows: Any = grid[i // across, i % across].subgridspec(2, 1, height_ratios=(3, 1.4), hspace=0).subplots()
            upper, lower = rows
            limits = each.edges[0], each.edges[-1]
            upper.stairs(each.data, each.edges, fill=True, color=DATA, alpha=FILL, linewidth=0)
            upper.stairs(each.samples, each.edges, color=FLOW)
            upper.set(title=plot.shortened(each.name), yticks=[], xlim=limits, ylim=(0, None))
            upper.tick_params(labelbottom=False)
            middle = (each.edges[1:] + each.edges[:-1]) / 2
            known = np.isfinite(each.ratio_error)
            lower.errorbar(
                middle[known], each.ratio[known], 2 * each.ratio_error[known], fmt=".", color=DATA, ms=3, lw=1
            )
            lower.axhline(1, color=FLOW)
            lower.set(xlim=limits, ylim=(0.4, 1.6), yticks=[0.5, 1, 1.5])
            lower.locator_params(axis="x", nbins=4)
            if i % across == 0:
                lower.set_ylabel("ratio")
    return figure


def likelihood(found: Likelihood) -> Figure:
    """What the flow has more than others."""
    others = found.scores[1:]
    with plot.style():
        figure = plot.new_figure(5.6, 0.75 + 0.4 * len(others))
        ax = figure.add_subplot()
        for i, each in enumerate(others):
            ax.errorbar(each.flow_more, -i, xerr=each.flow_more_two_errors, fmt="o", color=FLOW, ms=5, capsize=3)
        ax.axvline(0, color=INK, lw=1)
        ax.set(yticks=[-i for i in range(len(others))], ylim=(-len(others) + 0.4, 0.6))
        ax.set_yticklabels([each.name for each in others])
        ax.set_xlabel("log-likelihood that the flow has more [nats a row]")
        ax.grid(True, axis="x")
    return figure


def noise(found: NoiseSection, names: list[str]) -> Figure:
    """Histograms of the columns that are least uniform, and of distances."""
    off = np.abs(np.sort(found.found.u, axis=0) - np.linspace(0, 1, found.rows)[:, None]).max(axis=0)
    columns = sorted(np.argsort(-off, kind="stable")[: _MOST - 1].tolist())
    return plot.noise_panels(found.found, names, columns)


def directions(found: NoiseSection) -> Figure:
    """Angles of pairs of neighbouring columns, and rank correlations of all over their error."""
    g = found.found.scores
    with plot.style():
        figure = plot.new_figure(7.4, 2.9)
        left, right = figure.subplots(1, 2)
        angles = np.degrees(np.arctan2(g[:, 1::2][:, : g.shape[1] // 2], g[:, 0::2][:, : g.shape[1] // 2])) % 360
        plot.uniform_histogram(left, angles.ravel(), "", 24, 360)
        left.set(xticks=[0, 90, 180, 270, 360], xlabel="angle [degrees]")
        left.set_title("angles of z in planes of two columns")
        shown = found.matrix.copy()
        np.fill_diagonal(shown, np.nan)
        image = right.imshow(shown, cmap="PuOr", vmin=-5, vmax=5, interpolation="nearest")
        whole = optional("matplotlib.ticker", "report", "report").MaxNLocator(nbins=8, integer=True)
        right.xaxis.set_major_locator(whole)
        right.yaxis.set_major_locator(whole)
        right.set(title="rank correlation over its error", xlabel="column", ylabel="column")
        figure.colorbar(image, ax=right, extend="both")
    return figure


def classifier(found: Classifier) -> Figure:
    """How sure the classifier is of rows and of samples."""
    with plot.style():
        figure = plot.new_figure(5.6, 2.7)
        ax = figure.add_subplot()
        edges = np.linspace(0, 1, 41)
        counts = [np.histogram(each, edges)[0] / len(each) for each in (found.data_scores, found.sample_scores)]
        ax.stairs(counts[0], edges, fill=True, color=DATA, alpha=FILL, linewidth=0, label="data")
        ax.stairs(counts[1], edges, color=FLOW, label="samples of the flow")
        ax.set(xlabel="probability of being data, by the classifier", xlim=(0, 1), yticks=[])
        ax.legend()
    return figure


def _calibration(ax: Axes, levels: Array, covered: Array, error: Array, title: str) -> None:
    ax.fill_between(levels, -1.96 * error, 1.96 * error, color=FLOW, alpha=0.25, linewidth=0)
    ax.axhline(0, color=FLOW)
    ax.plot(levels, covered - levels, "o-", ms=3, color=DATA)
    reach = 1.15 * max(0.02, float(np.abs(covered - levels).max()), 1.96 * float(error.max()))
    ax.set(title=title, xlabel="credibility", ylabel="coverage - credibility", xlim=(0, 1), ylim=(-reach, reach))


def coverage(found: Coverage) -> Figure:
    """What regions hold too much or too little."""
    with plot.style():
        figure = plot.new_figure(5.0, 2.8)
        _calibration(figure.add_subplot(), found.levels, found.covered, found.error, "regions of highest density")
    return figure


def calibration(found: Calibration, names: list[str]) -> Figure:
    """TARP, and ranks of the columns that are least uniform."""
    columns = sorted(np.argsort(found.p, kind="stable")[: _MOST - 1].tolist())
    with plot.style():
        across = min(len(columns) + 1, 4)
        down = math.ceil((len(columns) + 1) / across)
        figure = plot.new_figure(2.0 * across + 0.8, 2.0 * down)
        axes: Any = figure.subplots(down, across, squeeze=False).ravel()
        error = np.sqrt(found.levels * (1 - found.levels) / found.rows)
        _calibration(axes[0], found.levels, found.covered, error, "random regions (TARP)")
        for ax, column in zip(axes[1:], columns, strict=False):
            plot.uniform_histogram(
                ax, found.ranks[:, column] + 0.5, f"rank of {plot.shortened(names[column], 14)}", 10, found.draws + 1
            )
        for ax in axes[len(columns) + 1 :]:
            ax.set_axis_off()
    return figure
