"""Pictures of flows with Matplotlib: data beside samples, densities, noise, learning curves, images.

Each function returns its `matplotlib.figure.Figure`, which Pyplot does not know of: ``figure.savefig("corner.png")``,
or the last line of a cell in a notebook. To draw into one of your own, give `figure` or `ax`. Backgrounds are
transparent; ink and colours have a contrast of 3 and more on white and on black, and are told apart by colour-blind
readers: data are blue and filled, what the flow makes is orange and a line [1]_.

Matplotlib is imported when a function is called: ``pip install "diffeo[report]"``.

References
----------
.. [1] Okabe, Ito, "Color universal design", 2008: blue #0072B2 and vermilion #D55E00.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, SupportsIndex

import numpy as np
import numpy.typing as npt

from ._abi import Array
from ._arrays import integer, labels, real_array, seed64
from ._extras import optional
from ._judged import Judged, read, without_columns
from ._noise import Noise
from ._noise import noise as noise_of
from .errors import InvalidArgumentError, NumericError, ShapeError
from .train import History
from .variational import TargetHistory

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["corner", "density", "history", "images", "noise"]

INK, DATA, FLOW = "#767676", "#0072B2", "#D55E00"
FILL = 0.6  # opacity of what is filled
COLOURS = (DATA, FLOW, "#009E73", "#B8609A", "#A07800")  # one for each of several flows
_AREA = (0.23, 0.58, 0.82)  # DATA, so light that areas are seen on black, too
_MOST = 8  # columns of a corner plot
_LEVELS = (0.5, 0.9)  # shares of the rows inside of a contour
_PIXELS = 160

_STYLE = {
    "axes.axisbelow": True,
    "axes.edgecolor": INK,
    "axes.facecolor": "none",
    "axes.grid": False,
    "axes.labelcolor": INK,
    "axes.labelsize": 9,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlesize": 9,
    "figure.facecolor": "none",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "grid.alpha": 0.3,
    "grid.color": INK,
    "image.cmap": "cividis",
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.4,
    "savefig.facecolor": "none",
    "text.color": INK,
    "xtick.color": INK,
    "xtick.labelsize": 8,
    "ytick.color": INK,
    "ytick.labelsize": 8,
}


def style() -> AbstractContextManager[None]:
    """Within it figures look as those of this module do."""
    found: AbstractContextManager[None] = optional("matplotlib", "diffeo.plot", "report").rc_context(_STYLE)
    return found


def new_figure(width: float, height: float) -> Figure:
    """In inches."""
    made: Figure = optional("matplotlib.figure", "diffeo.plot", "report").Figure((width, height), layout="constrained")
    return made


# ----------------------------------------------------------------------------------------------- data and samples


def corner(
    flow: Judged,
    x: npt.ArrayLike,
    context: npt.ArrayLike | None = None,
    *,
    samples: npt.ArrayLike | None = None,
    columns: Sequence[int] | None = None,
    names: Sequence[str] | None = None,
    seed: SupportsIndex = 0,
    figure: Figure | None = None,
) -> Figure:
    """Histograms of all columns and of pairs of them: data in blue, samples of the flow in orange.

    Contours hold half and nine tenths of the rows. Axes go over what is between the quantiles 0.002 and 0.998 of both.

    Parameters
    ----------
    flow : Flow
    x, context
        As in `Flow.log_prob`, of 10 rows at least.
    samples : array_like, [m, dim], optional
        By default as many as there are rows in `x`, drawn with `seed` for the same contexts.
    columns : sequence of int, optional
        Which to show, by number; by default the first 8.
    names : sequence of str, optional
        Of all columns; by default those of the data frame, those of the flow, or numbers.
    seed : int
    figure : matplotlib.figure.Figure, optional
        To draw into.

    Returns
    -------
    matplotlib.figure.Figure
    """
    words = column_names(flow, x, names)
    found = read(flow, x, context, seed64(seed))
    data, given = found.x, found.context
    drawn = found.samples(len(data), given, seed64(seed)) if samples is None else samples
    made = np.asarray(drawn, np.float64).reshape(-1, flow.dim)
    shown = list(range(min(flow.dim, _MOST))) if columns is None else [integer(each, "columns") for each in columns]
    if not shown or not all(0 <= each < flow.dim for each in shown):
        raise InvalidArgumentError(f"columns must be some of 0 to {flow.dim - 1}, not {shown}")
    if len(data) < 10 or len(made) < 10:
        raise ShapeError(f"corner wants 10 rows at least; x has {len(data)}, samples {len(made)}")
    made = made[np.isfinite(made).all(axis=1)]
    with style():
        size = max(3.2, min(1.55 * len(shown) + 0.6, 11.0))
        figure = figure or new_figure(size, size)
        axes = figure.subplots(len(shown), len(shown), squeeze=False)
        limits = [wide_range(data[:, each], made[:, each]) for each in shown]
        for row, down in enumerate(shown):
            for column, across in enumerate(shown):
                ax = axes[row, column]
                if column > row:
                    ax.set_axis_off()
                elif column == row:
                    _both_histograms(ax, data[:, down], made[:, down], limits[row])
                    ax.set(xlim=limits[row], yticks=[])
                    ax.spines["left"].set_visible(False)
                else:
                    _both_planes(ax, data[:, [across, down]], made[:, [across, down]], limits[column], limits[row])
                last, first = row == len(shown) - 1, column == 0 and row > 0
                ax.tick_params(labelbottom=last, labelleft=first)
                ax.locator_params(axis="x", nbins=3)
                if column < row:
                    ax.locator_params(axis="y", nbins=3)
                if last:
                    ax.set_xlabel(shortened(words[across]))
                if first:
                    ax.set_ylabel(shortened(words[down]))
        if len(shown) == 1:  # there is no place above the diagonal
            axes[0, 0].legend(handles=_handles(), loc="lower right", bbox_to_anchor=(1, 1))
        else:
            figure.legend(handles=_handles(), loc="upper right")
    return figure


def _handles() -> list[Any]:
    patches = optional("matplotlib.patches", "diffeo.plot", "report")
    lines = optional("matplotlib.lines", "diffeo.plot", "report")
    return [
        patches.Patch(facecolor=DATA, alpha=FILL, label="data"),
        lines.Line2D([], [], color=FLOW, label="samples of the flow"),
    ]


def _both_histograms(ax: Axes, a: Array, b: Array, limits: tuple[float, float], bins: int = 40) -> None:
    edges = np.linspace(*limits, bins + 1)
    counts = [np.histogram(each, edges)[0] / max(len(each), 1) for each in (a, b)]
    ax.stairs(counts[0], edges, fill=True, color=DATA, alpha=FILL, linewidth=0)
    ax.stairs(counts[1], edges, color=FLOW)
    ax.set_ylim(0)


def _both_planes(ax: Axes, a: Array, b: Array, across: tuple[float, float], down: tuple[float, float]) -> None:
    colors = optional("matplotlib.colors", "diffeo.plot", "report")
    bins = int(np.clip(math.sqrt(len(a)) / 3, 12, 40))
    for each, color in ((a, DATA), (b, FLOW)):
        counts, edges, more = np.histogram2d(each[:, 0], each[:, 1], bins=bins, range=np.array([across, down]))
        if not counts.any():
            continue
        smooth = _smoothed(counts.T)
        if color == DATA:
            faint = colors.LinearSegmentedColormap.from_list("data", [(*_AREA, 0.0), (*_AREA, 0.85)])
            ax.imshow(np.sqrt(counts.T), extent=(*across, *down), origin="lower", aspect="auto", cmap=faint)
        middles = [(edge[1:] + edge[:-1]) / 2 for edge in (edges, more)]
        heights = sorted({_height(smooth, share) for share in _LEVELS})
        if heights[-1] < smooth.max():
            ax.contour(*middles, smooth, levels=heights, colors=color, linewidths=1.1)
    ax.set(xlim=across, ylim=down)


def _smoothed(counts: Array) -> Array:
    """By 1/4, 1/2, 1/4 along both axes."""
    for axis in (0, 1):
        wide = np.pad(counts, [(1, 1) if i == axis else (0, 0) for i in (0, 1)])
        middle, before, after = (np.take(wide, range(i, i + counts.shape[axis]), axis) for i in (1, 0, 2))
        counts = middle / 2 + (before + after) / 4
    return counts


def _height(counts: Array, share: float) -> float:
    """Above it lies this share of all."""
    ordered = np.sort(counts.ravel())[::-1]
    return float(ordered[np.searchsorted(np.cumsum(ordered), share * ordered.sum())])


# ----------------------------------------------------------------------------------------------------- learning


def history(
    history: History | TargetHistory | Mapping[str, History | TargetHistory],
    *,
    reference: float | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Learning curves: log-likelihoods of training and validation by epoch, or the bound by steps of `Flow.fit_target`.

    Parameters
    ----------
    history : History, TargetHistory, or a mapping of names to them
    reference : float, optional
        Of a Gaussian, say: a line across.
    ax : matplotlib.axes.Axes, optional
        To draw into.

    Returns
    -------
    matplotlib.figure.Figure
    """
    named = dict(history) if isinstance(history, Mapping) else {"": history}
    if not named or not all(len(each) for each in named.values()):
        raise InvalidArgumentError("the history has no complete epoch to draw")
    with style():
        figure, ax = _figure_of(ax, 6.4, 3.6)
        heights: list[float] = [] if reference is None else [reference]
        for i, (name, each) in enumerate(named.items()):
            of = f"{name}, " if name else ""
            for steps, values, line, label in _curves(each):
                ax.plot(steps, values, line, ms=3, color=COLOURS[i % len(COLOURS)], label=of + label)
                finite = np.asarray(values)[np.isfinite(values)]
                # Where it ends matters more than where it came from: the first epochs may be far below.
                heights += [float(np.quantile(finite, 0.1)), float(finite.max())] if len(finite) else []
        if reference is not None:
            ax.axhline(reference, color=INK, ls=":", label="reference")
        if heights:
            margin = 0.08 * (max(heights) - min(heights)) or 0.1
            ax.set_ylim(min(heights) - margin, max(heights) + margin)
        targets = all(isinstance(each, TargetHistory) for each in named.values())
        ax.set(xlabel="step" if targets else "epoch", ylabel="nats" if targets else "log-likelihood a row [nats]")
        ax.grid(True)
        ax.legend(loc="lower right")
    return figure


def _curves(history: History | TargetHistory) -> list[tuple[list[int], list[float], str, str]]:
    """Steps, values, line and label of each."""
    if isinstance(history, TargetHistory):
        return [(history.steps, history.elbo, "-", "evidence lower bound")]
    curves = [(history.epoch, history.train_log_prob, "--", "training")]
    if np.isfinite(history.validation_log_prob).any():
        curves.append((history.epoch, history.validation_log_prob, "-o", "validation"))
    return curves


# ------------------------------------------------------------------------------------------------------- density


def density(
    flow: Judged | Callable[[Array], Array],
    context: npt.ArrayLike | None = None,
    *,
    low: npt.ArrayLike | None = None,
    high: npt.ArrayLike | None = None,
    pixels: SupportsIndex = _PIXELS,
    brightest: float | None = None,
    names: Sequence[str] | None = None,
    seed: SupportsIndex = 0,
    ax: Axes | None = None,
) -> Figure:
    """The density of a flow of one column, as a curve, or of two, as an image whose colours go by the root of it.

    Parameters
    ----------
    flow : Flow, or callable
        A function takes rows [n, 1] or [n, 2] and gives their log-densities [n], such as that of the truth; it wants
        `low` and `high`.
    context : array_like, [context_dim], optional
        One row. Required where the flow has a context.
    low, high : array_like, [dim], optional
        Ends of the axes; by default the quantiles 0.002 and 0.998 of samples, a tenth wider.
    pixels : int
        8 to 2000, along an axis; a curve has four times as many points.
    brightest : float, optional
        The density that has the brightest colour; by default the highest.
    names : sequence of str, optional
        Of the columns.
    seed : int
        Of the samples that say how far axes go.
    ax : matplotlib.axes.Axes, optional
        To draw into, without a scale of colours.

    Returns
    -------
    matplotlib.figure.Figure
    """
    side = integer(pixels, "pixels", 8, 2000)
    begin, end = _ends(flow, context, low, high, seed)
    dim = len(begin)
    words = _given_names(names, dim) or (_numbered(dim) if callable(flow) else column_names(flow, None, None))
    given = None
    if not callable(flow):
        row = flow._inputs(np.zeros((1, dim)), context)[1]
        flow, given = without_columns(flow), None if row is None else row.array
    sides = [
        a + (np.arange(count) + 0.5) / count * (b - a)
        for a, b, count in zip(begin, end, (4 * side,) if dim == 1 else (side, side), strict=True)
    ]
    grid = np.stack(np.meshgrid(*sides), axis=-1).reshape(-1, dim)
    log_prob = flow(grid) if callable(flow) else flow.log_prob(grid, given)
    values = np.exp(np.asarray(log_prob, np.float64).reshape(-1))
    with style():
        figure, own = _figure_of(ax, 4.6, 3.6)
        if dim == 1:
            own.fill_between(sides[0], values, color=FLOW, alpha=0.25, linewidth=0)
            own.plot(sides[0], values, color=FLOW)
            own.set(xlabel=words[0], ylabel="density", xlim=(begin[0], end[0]), ylim=(0, None))
        else:
            power = optional("matplotlib.colors", "diffeo.plot", "report").PowerNorm
            top = float(np.nanmax(values)) if brightest is None else float(brightest)
            shown = own.imshow(
                values.reshape(side, side),
                extent=(begin[0], end[0], begin[1], end[1]),
                origin="lower",
                aspect="auto",
                interpolation="nearest",
                norm=power(0.5, 0, top, clip=True),
            )
            own.set(xlabel=words[0], ylabel=words[1])
            if ax is None:
                figure.colorbar(shown, ax=own, label="density")
    return figure


def _ends(
    flow: Judged | Callable[[Array], Array],
    context: npt.ArrayLike | None,
    low: npt.ArrayLike | None,
    high: npt.ArrayLike | None,
    seed: SupportsIndex,
) -> tuple[Array, Array]:
    """Of the axes, checked."""
    if callable(flow) and (low is None or high is None):
        raise InvalidArgumentError("a function wants low and high: nothing else says where its density is")
    if not callable(flow) and flow.dim > 2:
        raise ShapeError(f"density takes flows of 1 or 2 columns, this one has {flow.dim}: see corner")
    if not callable(flow) and context is not None and flow.context_dim and (rows := len(flow._context(context))) != 1:
        raise ShapeError(f"context has {rows} rows, density is given one")
    begin, end = low, high
    if not callable(flow) and (low is None or high is None):
        samples = flow.sample(4096, context, seed=seed64(seed)).reshape(-1, flow.dim)
        least, most = zip(*(wide_range(column) for column in samples.T), strict=True)
        begin, end = least if low is None else low, most if high is None else high
    a, b = (np.atleast_1d(np.asarray(each, np.float64)) for each in (begin, end))
    dims = (1, 2) if callable(flow) else (flow.dim,)
    if a.shape != b.shape or a.ndim != 1 or len(a) not in dims:
        raise ShapeError(f"low has shape {a.shape} and high {b.shape}, expected ({' or '.join(map(str, dims))},)")
    if not (np.isfinite(a) & np.isfinite(b) & (a < b)).all():
        raise InvalidArgumentError(f"low must be below high, both finite, not {a.tolist()} and {b.tolist()}")
    return a, b


# --------------------------------------------------------------------------------------------------------- noise


def noise(
    flow: Judged,
    x: npt.ArrayLike,
    context: npt.ArrayLike | None = None,
    *,
    names: Sequence[str] | None = None,
    seed: SupportsIndex = 0,
    figure: Figure | None = None,
) -> Figure:
    """The noise of rows: by column its distribution function's values, uniform if the flow is right, and distances.

    Bars between the two dotted lines are what 19 in 20 would do. The last panel has the squared distances of the
    noise, as standard normal numbers, from 0 and the chi-square distribution that they should have.

    Parameters
    ----------
    flow : Flow
    x, context
        As in `Flow.log_prob`, of 10 rows at least. Rows that the flow gives no density are left out.
    names : sequence of str, optional
        As in `corner`.
    seed : int
        For flows whose base is neither standard normal, logistic nor uniform: of draws that the noise is ranked among.
    figure : matplotlib.figure.Figure, optional
        To draw into.

    Returns
    -------
    matplotlib.figure.Figure
    """
    words = column_names(flow, x, names)
    bare, data, given, *_ = read(flow, x, context, seed64(seed))
    inside = np.isfinite(bare.log_prob(data, given))
    if inside.sum() < 10:
        raise ShapeError(f"noise wants 10 rows with a density at least; of {len(data)} rows {inside.sum()} have one")
    found = noise_of(bare, data[inside], None if given is None else given[inside], seed64(seed), "diffeo.plot.noise")
    return noise_panels(found, words, list(range(min(flow.dim, 11))), figure)


def noise_panels(found: Noise, words: Sequence[str], columns: Sequence[int], figure: Figure | None = None) -> Figure:
    """A histogram for each of these columns and, where columns are independent, one of squared distances."""
    stats = optional("scipy.stats", "diffeo.plot.noise", "report")
    count = len(columns) + found.independent
    across = min(count, 4)
    down = math.ceil(count / across)
    with style():
        figure = figure or new_figure(1.9 * across + 0.4, 1.75 * down + 0.2)
        axes = figure.subplots(down, across, squeeze=False).ravel()
        for ax, column in zip(axes, columns, strict=False):
            uniform_histogram(ax, found.u[:, column], shortened(words[column]))
        if found.independent:
            ax, dim = axes[len(columns)], found.scores.shape[1]
            squares = (found.scores**2).sum(axis=1)
            low, high = stats.chi2.ppf([0.0005, 0.9995], dim)
            ax.hist(np.clip(squares, low, high), bins=30, range=(low, high), density=True, color=DATA, alpha=FILL)
            line = np.linspace(low, high, 200)[1:]
            expected = stats.chi2.pdf(line, dim)
            ax.plot(line, expected, color=FLOW)
            ax.set(title="|z|²", yticks=[], xlim=(low, high), ylim=(0, None if dim > 1 else 1.5))
        for ax in axes[count:]:
            ax.set_axis_off()
    return figure


def uniform_histogram(ax: Axes, u: Array, title: str, bins: int = 20, high: float = 1.0) -> None:
    """Of numbers from 0 to high that should be uniform: counts over what is expected, and where 19 of 20 lie."""
    expected = len(u) / bins
    counts = np.histogram(u, bins, (0, high))[0] / expected
    error = 1.96 * math.sqrt((1 - 1 / bins) / expected)
    ax.stairs(counts, np.linspace(0, high, bins + 1), fill=True, color=DATA, alpha=FILL, linewidth=0)
    ax.axhline(1, color=FLOW)
    for level in (1 - error, 1 + error):
        ax.axhline(level, color=FLOW, ls=":", lw=1)
    ax.set(title=title, xlim=(0, high), ylim=(0, max(1.6, 1.1 * float(counts.max()))), xticks=[0, high / 2, high])


# -------------------------------------------------------------------------------------------------------- images


def images(
    lines: Mapping[str, npt.ArrayLike],
    *,
    quantization: SupportsIndex = 256,
    cmap: str = "gray_r",
    ax: Axes | None = None,
) -> Figure:
    """Lines of images, each with a word before it: data above samples, or samples at several temperatures.

    Parameters
    ----------
    lines : mapping of str to array_like, [n, channels, height, width] or [n, height, width]
        All images have one shape, with 1 channel, grey, or 3: red, green and blue. Lines may have different lengths.
    quantization : int
        Images are of counts, 0 to ``quantization - 1``, as in `glow_image`, and what is from n to n + 1, as samples
        are, is drawn as n; 0 is for real numbers, which are drawn from the least to the greatest of all lines.
    cmap : str
        A colour map of Matplotlib, for images of 1 channel. "gray_r" has ink on paper, "gray" the highest as white.
    ax : matplotlib.axes.Axes, optional
        To draw into.

    Returns
    -------
    matplotlib.figure.Figure
    """
    counts = integer(quantization, "quantization", 0, 2**24)
    values = _shades(_stacked(lines), counts)
    height, width = values[0].shape[2:]
    gap = max(1, round(max(height, width) / 8))
    across = max(map(len, values)) * (width + gap) - gap
    down = len(values) * (height + gap) - gap
    colours = optional("matplotlib", "diffeo.plot", "report").colormaps
    rectangle = optional("matplotlib.patches", "diffeo.plot", "report").Rectangle
    if cmap not in colours:
        raise InvalidArgumentError(f"cmap must be the name of a colour map of Matplotlib, not {cmap!r}")
    with style():
        words = [shortened(word) for word in lines]
        inches = min(0.62 / max(height, width), 14 / across)
        figure, ax = _figure_of(ax, inches * across + 0.25 + 0.075 * max(map(len, words)), inches * down + 0.15)
        sheet = np.zeros((down, across, 4))  # between images it is transparent
        for i, line in enumerate(values):
            for j, image in enumerate(line):
                top, left = i * (height + gap), j * (width + gap)
                place = sheet[top : top + height, left : left + width]
                place[..., :3] = colours[cmap](image[0])[..., :3] if len(image) == 1 else image.transpose(1, 2, 0)
                place[..., 3] = 1
                corner = (left - 0.5, top - 0.5)
                ax.add_patch(rectangle(corner, width, height, fill=False, ec=INK, lw=0.5, clip_on=False))
        ax.imshow(sheet)
        middles = [i * (height + gap) + (height - 1) / 2 for i in range(len(values))]
        ax.set_yticks(middles, words)
        ax.set_xticks([])
        ax.tick_params(length=0, labelsize=9)
        ax.spines[:].set_visible(False)
    return figure


def _stacked(lines: Mapping[str, npt.ArrayLike]) -> list[Array]:
    """Of each line, [n, channels, height, width], checked."""
    if not isinstance(lines, Mapping):
        raise TypeError(f"lines must be words with images, as in {{'data': x}}, not {type(lines).__name__}")
    found: list[Array] = []
    for word, line in lines.items():
        array = real_array(line, f"line {word!r}", np.dtype(np.float64))
        array = array[:, None] if array.ndim == 3 else array
        if array.ndim != 4 or array.shape[1] not in (1, 3) or 0 in array.shape[1:]:
            raise ShapeError(
                f"line {word!r} has shape {np.shape(line)}, expected (n, height, width), (n, 1, height, width) or "
                "(n, 3, height, width)"
            )
        if found and array.shape[1:] != found[0].shape[1:]:
            raise ShapeError(
                f"line {word!r} has images of shape {array.shape[1:]}, the first line those of {found[0].shape[1:]}"
            )
        if not np.isfinite(array).all():
            where = np.argwhere(~np.isfinite(array))[0]
            raise NumericError(f"line {word!r} has {array[tuple(where)]} in image {where[0]}")
        found.append(array)
    if not any(len(line) for line in found):
        raise InvalidArgumentError("there are no images to draw")
    return found


def _shades(lines: list[Array], counts: int) -> list[Array]:
    """From 0 to 1."""
    if counts:
        return [np.floor(line).clip(0, counts - 1) / max(counts - 1, 1) for line in lines]
    low, high = (float(end(np.concatenate([line.ravel() for line in lines]))) for end in (np.min, np.max))
    return [(line - low) / ((high - low) or 1.0) for line in lines]


# --------------------------------------------------------------------------------------- arrays, names, figures


def column_names(flow: Judged, x: object, names: Sequence[str] | None) -> list[str]:
    """Those given, those of the flow with their units, those of a data frame, or numbers."""
    known = [_with_unit(column) for column in flow.columns or ()]
    return _given_names(names, flow.dim) or known or list(labels(x, flow.dim) or _numbered(flow.dim))


def _with_unit(column: str) -> str:
    unit = getattr(column, "unit", None)
    return f"{column} [{unit}]" if unit else str(column)


def _given_names(names: Sequence[str] | None, dim: int) -> list[str] | None:
    if names is None:
        return None
    if isinstance(names, str) or len(names) != dim or not all(isinstance(name, str) for name in names):
        raise InvalidArgumentError(f"names must be {dim} words, one for each column, not {names!r}")
    return list(names)


def _numbered(dim: int) -> list[str]:
    return [f"column {i}" for i in range(dim)]


def shortened(name: str, most: int = 22) -> str:
    """A name that fits beside an axis; a dollar sign is no mathematics."""
    return (name if len(name) <= most else name[: most - 1] + "…").replace("$", r"\$")


def wide_range(*columns: Array) -> tuple[float, float]:
    """Of an axis: from the quantile 0.002 to 0.998 of all of them, a tenth wider."""
    ends = np.array([np.quantile(each[np.isfinite(each)], [0.002, 0.998]) for each in columns], np.float64)
    low, high = float(ends[:, 0].min()), float(ends[:, 1].max())
    margin = 0.05 * (high - low) or 0.5 * max(abs(low), 1.0) * 1e-3 or 0.5
    return low - margin, high + margin


def _figure_of(ax: Axes | None, width: float, height: float) -> tuple[Figure, Axes]:
    if ax is not None:
        of_axes: Figure = ax.figure  # type: ignore[assignment, unused-ignore]
        return of_axes, ax
    figure = new_figure(width, height)
    return figure, figure.add_subplot()
