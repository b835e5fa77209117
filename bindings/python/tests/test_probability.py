"""Probabilities of counts and categories: the density of a flow over their cells."""

import itertools
import math

import diffeo
import numpy as np
import pytest
from diffeo import _probability

LEVELS = 4
# Of the normal distribution, beyond z: differences keep their digits where it is small.
tail = np.vectorize(lambda z: 0.5 * math.erfc(z / math.sqrt(2)))


def edges(n):
    """Where the line has the edges of counts, that softplus takes there."""
    n = np.asarray(n, float)
    return np.where(n > 30, n, np.log(np.expm1(np.maximum(np.minimum(n, 30), 1e-300))))


def of_counts(n):
    n = np.asarray(n)
    return np.where(n == 0, 1, tail(edges(n))) - tail(edges(n + 1))


def of_categories(k):
    inner = np.arange(1, LEVELS) / LEVELS
    return -np.diff([1, *tail(np.log(inner / (1 - inner))), 0])[k]


def spec(counts, categories, others=0, dtype="float64"):
    """Independent columns: counts, categories, real ones, which have known probabilities."""
    dim = counts + categories + others
    made = diffeo.Spec(dim, dtype=dtype)
    levels = [0] * counts + [LEVELS] * categories
    made.add_dequantize(levels, range(counts + categories))
    if counts:
        made.add_domain("softplus", range(counts), 0)
    if categories:
        made.add_domain("logit", range(counts, counts + categories), 0, 1)
    return made


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1.1e-3), ("float64", 2e-6)])
@pytest.mark.parametrize(("counts", "categories"), [(1, 0), (0, 1), (1, 1), (2, 0), (0, 2)])
def test_probabilities_are_those_that_are_known(counts, categories, dtype, tolerance):
    flow = spec(counts, categories, 1, dtype).build()
    cells = np.array(list(itertools.product(*[range(6)] * counts, *[range(LEVELS)] * categories)))
    x = np.column_stack([cells, np.linspace(-2, 2, len(cells))]).astype(dtype)
    log_p, error = flow.log_probability(x)
    known = -0.5 * x[:, -1].astype(float) ** 2 - 0.5 * np.log(2 * np.pi)
    for j in range(counts + categories):
        known += np.log((of_counts if j < counts else of_categories)(cells[:, j]))
    assert log_p.dtype == dtype
    assert (abs(log_p - known) <= error + 2 * np.finfo(dtype).eps * abs(known)).all()
    assert error.max() < tolerance
    assert (error > 0).all()


@pytest.mark.parametrize("conditional", [False, True])
def test_probabilities_sum_to_one(conditional):
    """Whatever the layers, given the other columns; and without such to 1 as they are."""
    made = spec(1, 0, 2 if conditional else 0)
    if conditional:
        for i in range(2):
            made.add_autoregressive((8,), activation="tanh", order="reversed" if i else "natural")
    made.add_elementwise(transformer=diffeo.Spline(6, -3, 3))
    flow = made.build(seed=3)
    rng = np.random.default_rng(1)
    flow = flow.with_parameters(
        flow.parameters() + flow.trained_parameters() * rng.normal(scale=0.3, size=flow.parameter_count)
    )
    n = np.arange(80.0)
    rest = [[0.4, -0.7]] if conditional else [[]]
    x = np.column_stack([n, np.repeat(rest, len(n), axis=0)])
    log_p, error = flow.log_probability(x, conditional=conditional)
    assert np.exp(log_p).sum() == pytest.approx(1, abs=1e-5)
    assert error.max() < 1e-4
    if conditional:
        joint, _ = flow.log_probability(x)
        np.testing.assert_allclose(log_p - joint, (log_p - joint)[0], atol=1e-5)


def test_categories_given_others_are_classified():
    """By Bayes' rule from the density of each class: a discriminant that is known."""
    rng = np.random.default_rng(0)
    k = rng.integers(2, size=6000)
    x = np.stack([rng.normal(size=6000) + 2 * k, k], axis=1)
    flow = diffeo.for_table(x, ["x", "k:category"], transforms=3, hidden=32)
    flow.fit(x, max_epochs=25, lr=3e-3, progress=False)
    at = np.linspace(-1, 3, 9)
    log_p, error = flow.log_probability(np.column_stack([at, np.ones(9)]), conditional=True)
    np.testing.assert_allclose(np.exp(log_p), 1 / (1 + np.exp(2 - 2 * at)), atol=0.12)
    assert error.max() < 5e-3


def test_more_columns_have_a_standard_error():
    flow = spec(1, 2, 1).build()
    x = np.array([[1.0, 2, 3, 0.1], [0, 0, 1, -0.4]])
    known = -0.5 * x[:, 3] ** 2 - 0.5 * np.log(2 * np.pi) + np.log(of_counts(x[:, 0]))
    known += np.log(of_categories(x[:, 1].astype(int))) + np.log(of_categories(x[:, 2].astype(int)))
    log_p, error = flow.log_probability(x, draws=20000, seed=2)
    assert (abs(log_p - known) < 4 * error).all()
    assert (error < 0.05).all()
    np.testing.assert_array_equal(flow.log_probability(x, draws=20000, seed=2)[0], log_p)
    assert (flow.log_probability(x, draws=80000, seed=2)[1] < 0.6 * error).all()
    with pytest.raises(NotImplementedError, match="conditional is for up to 2 counts and categories, this flow has 3"):
        flow.log_probability(x, conditional=True)


def test_names_contexts_and_single_rows():
    rng = np.random.default_rng(1)
    x = np.stack([rng.poisson(3, 500), rng.normal(size=500)], axis=1)
    flow = diffeo.for_table(x, ["n:count", "r"], context=x[:, 1:], transforms=1, hidden=8)
    flow.fit(x, x[:, 1:], max_epochs=2, progress=False)
    log_p, error = flow.log_probability(x, x[:, 1:])
    assert log_p.shape == error.shape == (500,)
    one, _ = flow.log_probability(x[7], x[7, 1:])
    assert one == log_p[7]
    same, _ = flow.log_probability(x[:3], x[7, 1:])
    np.testing.assert_array_equal(same, flow.log_probability(x[:3], np.repeat(x[7:8, 1:], 3, axis=0))[0])
    middle = flow.log_prob(x, x[:, 1:])
    assert abs(log_p - middle).mean() < 0.3
    assert not np.array_equal(log_p, middle)


def test_what_has_no_probability():
    flow = spec(1, 1, 1).build()
    x = np.array([[1.0, 2, 0.3], [np.nan, 1, 0], [2, 1, np.nan], [2, 1, np.inf]])
    for conditional in (False, True):
        log_p, error = flow.log_probability(x, conditional=conditional)
        assert np.isfinite(log_p[0])
        assert np.isnan(log_p[1:3]).all()
        assert np.isnan(error[1:3]).all()
    assert flow.log_probability(x)[0][3] == -np.inf
    for wrong, needed in (
        ([0.5, 1, 0], "column 0: .*0 or more"),
        ([0, 4, 0], "column 1: .*0 to 3"),
        ([-1, 0, 0], "0 or"),
    ):
        with pytest.raises(ValueError, match=rf"x has .* in row 0, {needed}" if "column" in needed else needed):
            flow.log_probability([wrong])
    with pytest.raises(ValueError, match="no column of this flow is a count"):
        diffeo.maf(2).log_probability(np.zeros((1, 2)))
    with pytest.raises(ValueError, match="draws"):
        flow.log_probability(x, draws=1)


def test_the_rule():
    for dim in (1, 2):
        rule = _probability.Rule.of(dim)
        assert rule.fine.sum() == pytest.approx(1, abs=1e-15)
        assert rule.coarse.sum() == pytest.approx(1, abs=1e-15)
        for power, weights in ((22, rule.fine), (12, rule.coarse)):
            exact = (1 / (power + 1)) ** dim
            assert weights @ np.prod(rule.nodes**power, axis=1) == pytest.approx(exact, rel=1e-13)
