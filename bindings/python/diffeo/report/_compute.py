"""What a report is made of: numbers and tests, section by section. Nothing is drawn here.

Each section is a function of the rows that gives its numbers, a dataclass, and its tests. With a right flow a row and
its sample can change places, given the context: two-sample tests are made for such pairs, so that they hold with a
context, too.
"""

from __future__ import annotations

import math
import os
import platform
import time
import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from .._abi import Array
from .._extras import optional
from .._noise import Noise
from .._noise import noise as noise_of
from .._threads import get_num_threads
from ..diagnostics import coverage as tarp
from ..diagnostics import sbc_ranks, uniformity
from ..plot import wide_range
from ._rows import Rows
from ._tests import Test, family

_BINS = 30
_COMPONENTS = 32
_FULL = 64  # columns up to which the mixture has full covariances
_PAIRED = 128  # columns whose pairs are looked at for correlations
_FEATURES = 2_000_000  # numbers that the classifier learns from
_POSTERIORS, _DRAWS = 1000, 99
_LEVELS = np.linspace(0, 1, 21)
_WORST = 10
LARGE = {"large": True}  # of a field: what pictures are made of, and is not written as numbers


def sklearn(module: str) -> Any:
    """A module of scikit-learn."""
    return optional(f"sklearn.{module}", "report", "report")


def scipy(module: str) -> Any:
    """A module of SciPy."""
    return optional(f"scipy.{module}", "report", "report")


# ---------------------------------------------------------------------------------------------------- marginals


@dataclass(frozen=True)
class Marginal:
    """One column of data and of samples: shares by bin, [bins], and their ratio with its standard error."""

    name: str
    edges: Array
    data: Array
    samples: Array
    ratio: Array
    ratio_error: Array
    data_mean: float
    samples_mean: float
    mean_error: float
    data_std: float
    samples_std: float
    distance: float
    p: float


def marginals(rows: Rows) -> tuple[list[Marginal], list[Test]]:
    """Histograms by column, and two-sample Kolmogorov-Smirnov tests."""
    stats = scipy("stats")
    x, samples, _ = rows.pairs()
    found = []
    for name, a, b in zip(rows.names, x.T, samples.T, strict=True):
        edges = np.linspace(*wide_range(a, b), _BINS + 1)
        counts, made = (np.histogram(each, edges)[0].astype(np.float64) for each in (a, b))
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = counts / made
            error = ratio * np.sqrt(1 / counts + 1 / made)
        test = stats.ks_2samp(a, b, method="asymp")
        found.append(
            Marginal(
                name,
                edges,
                counts / len(a),
                made / len(b),
                ratio,
                error,
                float(a.mean()),
                float(b.mean()),
                math.sqrt((a.var() + b.var()) / len(a)),
                float(a.std()),
                float(b.std()),
                float(test.statistic),
                float(test.pvalue),
            )
        )
    effects = [f"{each.name}: distribution functions are {each.distance:.3f} apart" for each in found]
    return found, [
        family(
            "marginals",
            "marginals",
            "each column of the samples is distributed as that of the data",
            "two-sample Kolmogorov-Smirnov",
            [each.p for each in found],
            effects,
        )
    ]


# --------------------------------------------------------------------------------------------------- likelihood


@dataclass(frozen=True)
class Score:
    """A density: its mean log-likelihood, what the flow has more, and two standard errors of each, in nats."""

    name: str
    mean: float
    two_errors: float
    flow_more: float
    flow_more_two_errors: float


@dataclass(frozen=True)
class Likelihood:
    """Of rows held out from the references; those without a density in the flow are left out and counted."""

    scores: list[Score]
    rows: int
    fitted_rows: int
    fitted_on: str
    without_density: int


def likelihood(rows: Rows, train: tuple[Array, Array | None] | None) -> tuple[Likelihood, list[Test]]:
    """The flow beside a Gaussian and a mixture, fitted to other rows."""
    stats = scipy("stats")
    scored, where = np.arange(len(rows)), "the training rows"
    if train is None:
        order = np.random.default_rng(rows.seed_of("halves")).permutation(len(rows))
        fitted, scored = np.array_split(order, 2)
        train = rows.x[fitted], None if rows.context is None else rows.context[fitted]
        where = "the other half of the rows"
    scored = np.sort(scored[rows.inside()[scored]])
    joint = rows.x[scored] if rows.context is None else np.hstack([rows.x, rows.context])[scored]
    known = train[0] if train[1] is None else np.hstack([train[0], train[1]])
    most = min(_COMPONENTS, max(1, len(known) // (5 * (known.shape[1] + 1))))
    flow = rows.log_prob[scored]
    scores, p, effects = [_score("this flow", flow, flow)], [], []
    for components in sorted({1, most}):
        name = "Gaussian" if components == 1 else f"mixture of {components} Gaussians"
        density = _mixture(known, components, rows.seed_of("mixture") % 2**32)
        other = density(joint, rows.dim)
        scores.append(_score(name, other, flow))
        more, error = scores[-1].flow_more, scores[-1].flow_more_two_errors / 2
        p.append(float(stats.norm.cdf(more / error)) if error > 0 else 1.0)
        effects.append(f"{name}: the flow has {more:+.3f} ± {2 * error:.3f} nats a row")
    outside = len(rows) - int(rows.inside().sum())
    return Likelihood(scores, len(scored), len(known), where, outside), [
        family(
            "likelihood",
            "likelihood",
            "no other density gives rows that it has not seen a higher likelihood",
            "paired z-test, one-sided",
            p,
            effects,
        )
    ]


def _score(name: str, values: Array, flow: Array) -> Score:
    root = math.sqrt(len(flow))
    more = flow - values
    return Score(
        name, float(values.mean()), 2 * float(values.std()) / root, float(more.mean()), 2 * float(more.std()) / root
    )


def _mixture(known: Array, components: int, seed: int) -> Any:
    """A mixture of Gaussians fitted to [x, context]; its log-density of the first columns given those that follow."""
    centre, scale = known.mean(axis=0), known.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    kind = "full" if known.shape[1] <= _FULL else "diag"
    model = sklearn("mixture").GaussianMixture(components, covariance_type=kind, random_state=seed, max_iter=200)
    with warnings.catch_warnings(action="ignore"):  # one that has not converged is a yardstick all the same
        model.fit((known - centre) / scale)

    def log_prob(joint: Array, dim: int) -> Array:
        placed = (joint - centre) / scale
        both = _mixture_log_prob(model.weights_, model.means_, model.covariances_, placed)
        if placed.shape[1] > dim:
            given = model.covariances_[:, dim:, dim:] if kind == "full" else model.covariances_[:, dim:]
            both = both - _mixture_log_prob(model.weights_, model.means_[:, dim:], given, placed[:, dim:])
        found: Array = both - np.log(scale[:dim]).sum()
        return found

    return log_prob


def _mixture_log_prob(weights: Array, means: Array, covariances: Array, x: Array) -> Array:
    """Covariances [k, d, d], or their diagonals [k, d]."""
    parts = []
    for weight, mean, covariance in zip(weights, means, covariances, strict=True):
        if covariance.ndim == 1:
            z, log_root = (x - mean) / np.sqrt(covariance), 0.5 * np.log(covariance).sum()
        else:
            root = np.linalg.cholesky(covariance)
            z = scipy("linalg").solve_triangular(root, (x - mean).T, lower=True).T
            log_root = np.log(np.diag(root)).sum()
        parts.append(
            math.log(max(weight, 1e-300))
            - 0.5 * (z**2).sum(axis=1)
            - log_root
            - 0.5 * x.shape[1] * math.log(2 * math.pi)
        )
    found: Array = scipy("special").logsumexp(parts, axis=0)
    return found


# -------------------------------------------------------------------------------------------------------- noise


@dataclass(frozen=True)
class NoiseSection:
    """The noise of rows with a density, as standard normal numbers.

    means, root_mean_squares: by column. matrix: rank correlations of columns, over their standard error. strongest: of
    all pairs that were looked at, ten.
    """

    how: str
    rows: int
    independent: bool
    means: Array
    root_mean_squares: Array
    mean_error: float
    mean_square: float
    columns_paired: int
    matrix: Array
    strongest: list[Pair]
    found: Noise = field(repr=False, metadata=LARGE)


def noise(rows: Rows) -> tuple[NoiseSection, list[Test]]:
    """Whether the noise is what the base says."""
    stats = scipy("stats")
    inside = rows.inside()
    context = None if rows.context is None else rows.context[inside]
    found = noise_of(rows.flow, rows.x[inside], context, rows.seed_of("noise"), "report")
    g, n, dim = found.scores, found.effective, rows.dim
    means, squares = g.mean(axis=0), (g**2).mean(axis=0)
    error = 1 / math.sqrt(n)
    tests = [
        family(
            "noise: mean",
            "noise",
            "the noise of each column has mean 0",
            "z-test",
            2 * stats.norm.sf(np.abs(means) / error),
            [f"{name}: mean {mean:+.3f} ± {2 * error:.3f}" for name, mean in zip(rows.names, means, strict=True)],
        ),
        family(
            "noise: spread",
            "noise",
            "the noise of each column has standard deviation 1",
            "chi-square of the sum of squares",
            np.minimum(1, 2 * np.minimum(stats.chi2.sf(n * squares, n), stats.chi2.cdf(n * squares, n))),
            [
                f"{name}: root mean square {math.sqrt(each):.3f} ± {error * math.sqrt(2):.3f}"
                for name, each in zip(rows.names, squares, strict=True)
            ],
        ),
    ]
    distances = [stats.kstest(column, "uniform").statistic for column in found.u.T]
    tests.append(
        family(
            "noise: uniformity",
            "noise",
            "the distribution function of the noise of each column is uniform",
            "Kolmogorov-Smirnov",
            [stats.kstwo.sf(each, max(1, round(n))) for each in distances],
            [f"{name}: {each:.3f} from uniform" for name, each in zip(rows.names, distances, strict=True)],
        )
    )
    where = np.unravel_index(np.abs(g).argmax(), g.shape)
    farthest = f"{rows.names[where[1]]}: {g[where]:+.1f} in row {rows.numbers[np.flatnonzero(inside)[where[0]]]}"
    tests.append(
        family(
            "noise: farthest",
            "noise",
            "no row has noise that is farther from 0 than that of so many rows",
            "normal tail",
            [min(1.0, 2 * g.size * float(stats.norm.sf(abs(g[where]))))],
            [farthest],
        )
    )
    if found.independent:
        lengths = (g**2).sum(axis=1)
        distance, spread = stats.kstest(lengths, "chi2", args=(dim,)).statistic, lengths.std() / math.sqrt(n)
        tests.append(
            family(
                "noise: distances",
                "noise",
                "squared distances |z|² have a chi-square distribution",
                "Kolmogorov-Smirnov",
                [stats.kstwo.sf(distance, max(1, round(n)))],
                [f"mean |z|² {lengths.mean():.3f} ± {2 * spread:.3f} for {dim}; {distance:.3f} apart"],
            )
        )
        tests.append(_directions(g, n))
    paired = np.unique(np.linspace(0, dim - 1, min(dim, _PAIRED)).round().astype(np.int64))
    words, shown = [rows.names[i] for i in paired], g[:, paired]
    of_columns = _pairs(shown, words, None, []) if found.independent else []
    of_context = [] if context is None else _pairs(shown, words, context[: found.rows], rows.context_names)
    for name, question, pairs in (
        (
            "noise: correlation",
            "columns of the noise have no rank correlation, nor have their distances from 0",
            of_columns,
        ),
        ("noise: context", "the noise and its distance from 0 have no rank correlation with the context", of_context),
    ):
        if pairs:
            p = 2 * stats.norm.sf([abs(each.z) for each in pairs])
            tests.append(family(name, "noise", question, "Spearman", p, [str(each) for each in pairs]))
    strongest = sorted(of_columns + of_context, key=lambda each: -abs(each.z))[:10]
    section = NoiseSection(
        found.how,
        found.rows,
        found.independent,
        means,
        np.sqrt(squares),
        error,
        float((g**2).sum(axis=1).mean()),
        len(paired),
        _rank_correlations(shown, shown) * math.sqrt(found.rows - 1),
        strongest,
        found,
    )
    return section, tests


def _directions(g: Array, n: float) -> Test:
    """Whether z / |z| is uniform on the sphere: tests of Rayleigh and Bingham (Mardia, Jupp 2000, 10.4 and 10.7)."""
    chi2, dim = scipy("stats").chi2, g.shape[1]
    unit = g / np.linalg.norm(g, axis=1, keepdims=True)
    mean = unit.mean(axis=0)
    rayleigh = dim * n * float(mean @ mean)
    p, effects = (
        [chi2.sf(rayleigh, dim)],
        [f"mean direction {np.linalg.norm(mean):.3f} long for {math.sqrt(1 / n):.3f}"],
    )
    if dim > 1:
        second = unit.T @ unit / len(unit)
        bingham = dim * (dim + 2) / 2 * n * float((second**2).sum() - 1 / dim)
        freedom = (dim - 1) * (dim + 2) / 2
        p.append(chi2.sf(bingham, freedom))
        effects.append(f"second moments: {bingham:.1f} for {freedom:.0f} ± {2 * math.sqrt(2 * freedom):.1f}")
    return family(
        "noise: directions", "noise", "directions z / |z| are uniform on the sphere", "Rayleigh, Bingham", p, effects
    )


@dataclass(frozen=True)
class Pair:
    """A rank correlation, and the same over its standard error."""

    first: str
    second: str
    of: str
    correlation: float
    z: float

    def __str__(self) -> str:
        return f"{self.first} and {self.second}: {self.of} correlate by {self.correlation:+.3f} ± {self.two_errors:.3f}"

    @property
    def two_errors(self) -> float:
        """Of the correlation."""
        return 2 * abs(self.correlation / self.z) if self.z else 0.0


def _pairs(g: Array, names: list[str], other: Array | None, other_names: list[str]) -> list[Pair]:
    """Of the columns with each other, or with those of another matrix: of the values, and of their distances from 0."""
    found, root = [], math.sqrt(len(g) - 1)
    for of, values in (("noises", g), ("distances of the noise from 0", np.abs(g))):
        r = _rank_correlations(values, values if other is None else other)
        for i, j in np.argwhere(np.ones_like(r, bool) if other is not None else np.triu(np.ones_like(r, bool), 1)):
            second = names[j] if other is None else other_names[j]
            found.append(Pair(names[i], second, of, float(r[i, j]), float(r[i, j]) * root))
    return found


def _rank_correlations(a: Array, b: Array) -> Array:
    """Spearman's, of all columns of a with all of b; 0 where a column is constant."""
    rankdata = scipy("stats").rankdata
    ranks = []
    for each in (a, b):
        centred = rankdata(each, axis=0) - (len(each) + 1) / 2
        length = np.linalg.norm(centred, axis=0)
        ranks.append(centred / np.where(length > 0, length, 1))
    found: Array = ranks[0].T @ ranks[1]
    return found


# --------------------------------------------------------------------------------------------------- classifier


@dataclass(frozen=True)
class Classifier:
    """A classifier that has learned to tell rows from samples, on others.

    accuracy: 0.5 where it cannot. ordered: how often it gives the row of a pair the higher score. scores: that a row is
    of the data, [n] of rows and of samples.
    """

    accuracy: float
    accuracy_error: float
    ordered: float
    ordered_error: float
    rows: int
    learned_rows: int
    columns: int
    data_scores: Array = field(repr=False, metadata=LARGE)
    sample_scores: Array = field(repr=False, metadata=LARGE)


def classifier(rows: Rows) -> tuple[Classifier, list[Test]]:
    """C2ST [1]_ with gradient boosting, by one half of the pairs on the other.

    References
    ----------
    .. [1] Lopez-Paz, Oquab, "Revisiting classifier two-sample tests", ICLR 2017.
    """
    stats = scipy("stats")
    x, samples, context = rows.pairs()
    width = x.shape[1] + (0 if context is None else context.shape[1])
    order = np.random.default_rng(rows.seed_of("classifier")).permutation(len(x))
    order = order[: max(200, _FEATURES // width)]
    learned, asked = np.array_split(order, 2)

    def features(some: Array, which: npt.NDArray[np.int64]) -> Array:
        return some[which] if context is None else np.hstack([some[which], context[which]])

    model = sklearn("ensemble").HistGradientBoostingClassifier(
        max_iter=100, max_leaf_nodes=16, early_stopping=False, random_state=rows.seed_of("classifier") % 2**32
    )
    model.fit(np.vstack([features(x, learned), features(samples, learned)]), np.repeat([1, 0], len(learned)))
    of_data, of_samples = (model.predict_proba(features(each, asked))[:, 1] for each in (x, samples))
    difference = of_data - of_samples
    ordered = float(((difference > 0) + 0.5 * (difference == 0)).mean())
    # Of a right flow each pair is as likely the other way round.
    p = float(stats.wilcoxon(difference, alternative="greater").pvalue) if difference.any() else 1.0
    right = np.concatenate([of_data > 0.5, of_samples <= 0.5])
    accuracy, n = float(right.mean()), len(asked)
    section = Classifier(
        accuracy,
        math.sqrt(accuracy * (1 - accuracy) / (2 * n)),
        ordered,
        math.sqrt(ordered * (1 - ordered) / n),
        n,
        len(learned),
        width,
        of_data,
        of_samples,
    )
    effect = (
        f"accuracy {accuracy:.3f} ± {2 * section.accuracy_error:.3f}; "
        f"{ordered:.3f} ± {2 * section.ordered_error:.3f} of pairs told right"
    )
    return section, [
        family(
            "classifier",
            "classifier",
            "a classifier cannot tell rows from samples",
            "C2ST, Wilcoxon on held-out pairs",
            [p],
            [effect],
        )
    ]


# ----------------------------------------------------------------------------------------- regions, calibration


@dataclass(frozen=True)
class Coverage:
    """How often the regions of highest density that hold a share of the samples hold the row."""

    levels: Array
    covered: Array
    rows: int
    draws: int
    error: Array


@dataclass(frozen=True)
class Calibration:
    """Of a flow with a context: ranks of rows among draws for the same context (SBC), and TARP's coverage."""

    rows: int
    draws: int
    levels: Array
    covered: Array
    p: Array
    ranks: npt.NDArray[np.int64] = field(repr=False, metadata=LARGE)


def regions(rows: Rows) -> tuple[Coverage, list[Test]]:
    """Without a context: the rows' densities among those of the samples."""
    stats = scipy("stats")
    a, b = rows.log_prob[rows.inside()], np.sort(rows.sample_log_prob[~np.isnan(rows.sample_log_prob)])
    place = 1 - np.searchsorted(b, a) / len(b)  # the share of the samples that have a higher density
    test = stats.ks_2samp(a, b, method="asymp")
    return _coverage(place, len(b), len(b), float(test.statistic), float(test.pvalue))


def posteriors(rows: Rows) -> tuple[Coverage, Calibration, list[Test]]:
    """With a context: coverage of regions of highest density, ranks by column, and TARP."""
    stats = scipy("stats")
    chosen = np.sort(
        np.random.default_rng(rows.seed_of("posteriors")).permutation(np.flatnonzero(rows.inside()))[:_POSTERIORS]
    )
    assert rows.context is not None
    x, context = rows.x[chosen], rows.context[chosen]
    many = np.repeat(context, _DRAWS, axis=0)
    drawn = rows.source.samples(len(many), many, rows.seed_of("draws")).reshape(len(x), _DRAWS, -1)
    finite = np.isfinite(drawn).all(axis=(1, 2))
    x, context, drawn = x[finite], context[finite], drawn[finite]
    flat = drawn.reshape(-1, rows.dim)
    densities = np.asarray(rows.flow.log_prob(flat, np.repeat(context, _DRAWS, axis=0))).reshape(len(x), _DRAWS)
    higher = (densities > rows.log_prob[chosen][finite][:, None]).sum(axis=1)
    place = (higher + np.random.default_rng(rows.seed_of("place")).random(len(x))) / (_DRAWS + 1)
    test = stats.kstest(place, "uniform")
    section, tests = _coverage(place, 0, _DRAWS, float(test.statistic), float(test.pvalue))

    ranks = sbc_ranks(x, drawn)
    p = uniformity(ranks, _DRAWS)
    middle = ranks.mean(axis=0) / _DRAWS
    tests.append(
        family(
            "ranks",
            "calibration",
            "a row has any rank among draws for its context",
            "SBC, chi-square of 20 bins or fewer",
            p,
            [
                f"{name}: mean rank {each:.3f} ± {2 * math.sqrt(1 / 12 / len(x)):.3f} of 1"
                for name, each in zip(rows.names, middle, strict=True)
            ],
        )
    )
    fine = np.arange(_DRAWS + 2) / (_DRAWS + 1)
    _, everywhere = tarp(x, drawn, levels=fine, seed=rows.seed_of("tarp"))
    distance = float(np.abs(everywhere - fine).max())
    tests.append(
        family(
            "random regions",
            "calibration",
            "balls around random points hold a row as often as they hold draws",
            "TARP, Kolmogorov-Smirnov",
            [float(stats.kstwo.sf(distance, len(x)))],
            [f"coverage is {distance:.3f} off at most"],
        )
    )
    _, covered = tarp(x, drawn, levels=_LEVELS, seed=rows.seed_of("tarp"))
    return section, Calibration(len(x), _DRAWS, _LEVELS, covered, p, ranks), tests


def _coverage(place: Array, samples: int, draws: int, distance: float, p: float) -> tuple[Coverage, list[Test]]:
    """From the shares of samples with a higher density; samples: that all rows share."""
    covered = np.searchsorted(np.sort(place), _LEVELS, side="right") / len(place)
    error = np.sqrt(_LEVELS * (1 - _LEVELS) * (1 / len(place) + (1 / samples if samples else 0)))
    at = {level: float(covered[np.argmin(np.abs(_LEVELS - level))]) for level in (0.5, 0.9)}
    effect = "; ".join(f"regions of {level:.0%} hold {held:.1%} of the rows" for level, held in at.items())
    return Coverage(_LEVELS, covered, len(place), draws, error), [
        family(
            "regions",
            "coverage",
            "regions of highest density hold as many rows as samples",
            "Kolmogorov-Smirnov",
            [p],
            [f"{effect}; {distance:.3f} off at most"],
        )
    ]


# ------------------------------------------------------------------------------------------ worst rows, support


@dataclass(frozen=True)
class WorstRow:
    """A row with a low density. column: whose noise is farthest out; rarer: share of samples with a lower density."""

    number: int
    name: str
    log_prob: float
    rarer: float
    column: str
    noise: float
    values: Array


@dataclass(frozen=True)
class Support:
    """Where rows and samples are.

    lowest: of the rows and samples together, shares with the lowest density, their number, and how many are rows.
    beyond: by column, rows beyond all samples and samples beyond all rows, below and above.
    """

    without_density: int
    samples_not_finite: int
    lowest: list[tuple[float, int, int]]
    beyond: list[tuple[str, int, int, int, int]]


def worst(rows: Rows, found: Noise) -> list[WorstRow]:
    """The rows with the lowest densities."""
    places = np.full(len(rows), -1)
    places[np.flatnonzero(rows.inside())[: found.rows]] = np.arange(found.rows)
    ordered = np.sort(rows.sample_log_prob)
    values, table = rows.x.copy(), []
    values[:, rows.counts] = np.floor(values[:, rows.counts])
    for i in np.lexsort((rows.numbers, np.nan_to_num(rows.log_prob, nan=-np.inf)))[:_WORST]:
        scores = found.scores[places[i]] if places[i] >= 0 else np.full(rows.dim, np.nan)
        column = int(np.nan_to_num(np.abs(scores)).argmax())
        table.append(
            WorstRow(
                int(rows.numbers[i]),
                rows.row_names[i] if rows.row_names else "",
                float(rows.log_prob[i]),
                float(np.searchsorted(ordered, rows.log_prob[i]) / len(ordered)),
                rows.names[column] if places[i] >= 0 else "",
                float(scores[column]),
                values[i],
            )
        )
    return table


def support(rows: Rows) -> tuple[Support, list[Test]]:
    """Rows where the flow has no density, outliers, and what lies beyond all others."""
    stats = scipy("stats")
    outside = int((~rows.inside()).sum())
    broken = int((~np.isfinite(rows.samples).all(axis=1)).sum())
    both = np.nan_to_num(np.concatenate([rows.log_prob, rows.sample_log_prob]), nan=-np.inf)
    ties = np.random.default_rng(rows.seed_of("ties")).random(len(both))
    order = np.lexsort((ties, both))
    lowest = [
        (share, count, int((order[:count] < len(rows)).sum()))
        for share in (0.002, 0.01, 0.05)
        if (count := round(share * len(both))) >= 10
    ]
    x, samples, _ = rows.pairs()
    beyond = [
        (name, int((a < b.min()).sum()), int((a > b.max()).sum()), int((b < a.min()).sum()), int((b > a.max()).sum()))
        for name, a, b in zip(rows.names, x.T, samples.T, strict=True)
    ]
    # Each of the lowest, or of those that lie beyond all others, is as likely a row as a sample.
    tests = (
        [
            family(
                "outliers",
                "support",
                "of the lowest densities half are of rows",
                "binomial, at 0.2, 1 and 5 %",
                [float(stats.binomtest(of_rows, count).pvalue) for _, count, of_rows in lowest],
                [
                    f"of the {count} lowest densities ({share:.1%}) {of_rows} are of rows"
                    for share, count, of_rows in lowest
                ],
            )
        ]
        if lowest
        else []
    )
    p, effects = (
        [float(outside == 0), float(broken == 0)],
        [f"{outside} of {len(rows)} rows have no density", f"{broken} of {len(rows)} samples are not finite"],
    )
    for name, *counts in beyond:
        for count, (what, of, side) in zip(counts, _SIDES, strict=True):
            p.append(0.5**count)
            effects.append(f"{name}: {count} {what} {side} all {of}")
    tests.append(
        family(
            "support",
            "support",
            "neither rows nor samples lie where the others never are",
            "sign of the extremes",
            p,
            effects,
        )
    )
    return Support(outside, broken, lowest, beyond), tests


_SIDES = (
    ("rows", "samples", "below"),
    ("rows", "samples", "above"),
    ("samples", "rows", "below"),
    ("samples", "rows", "above"),
)


# ------------------------------------------------------------------------------------------------------- timing


@dataclass(frozen=True)
class Timing:
    """Rows a second on this machine, the best of three."""

    machine: str
    cores: int
    threads: int
    rows: int
    log_prob_rows_per_second: float
    sample_rows_per_second: float


def timing(rows: Rows) -> Timing:
    """Of densities and samples."""
    n = min(len(rows), 10_000)
    context = None if rows.context is None else rows.context[:n]
    x = rows.x[:n].astype(rows.flow.dtype)
    speeds = [
        n / _seconds(each)
        for each in (lambda: rows.flow.log_prob(x, context), lambda: rows.flow.sample(n, context, seed=rows.seed))
    ]
    return Timing(_processor(), os.cpu_count() or 1, get_num_threads(), n, speeds[0], speeds[1])


def _seconds(run: Any) -> float:
    taken = []
    for _ in range(3):
        begin = time.perf_counter()
        run()
        taken.append(time.perf_counter() - begin)
    return min(taken)


def _processor() -> str:
    """As Linux calls it."""
    try:
        with open("/proc/cpuinfo") as file:
            lines = [line for line in file if line.startswith("model name")]
    except OSError:
        lines = []
    return lines[0].partition(":")[2].strip() if lines else platform.processor() or platform.machine()


@dataclass(frozen=True)
class RoundTrip:
    """The largest and the median distance of rows from where they came after both ways, in standard deviations."""

    largest: float
    median: float


def round_trip(rows: Rows) -> RoundTrip:
    """To noise and back, in the type of the flow."""
    inside = rows.inside()
    x = rows.x[inside].astype(rows.flow.dtype)
    context = None if rows.context is None else rows.context[inside]
    back = np.asarray(rows.flow.from_noise(rows.flow.to_noise(x, context)[0], context)[0], np.float64)
    std = x.std(axis=0, dtype=np.float64)
    error = (np.abs(back - x) / np.where(std > 0, std, 1)).max(axis=1)
    return RoundTrip(float(error.max()), float(np.median(error)))
