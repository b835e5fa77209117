"""Diagnostics, against what is known in closed form."""

import importlib
import math
import statistics

import diffeo
import numpy as np
import pytest
from conftest import regression
from diffeo import _extras, diagnostics

PHI = statistics.NormalDist().cdf


def normal(n, seed, dim=2):
    return np.random.default_rng(seed).normal(size=(n, dim))


# ------------------------------------------------------------------------------------------ samples and samples


def test_c2st_cannot_tell_the_same_apart():
    pytest.importorskip("sklearn")
    n = 200
    accuracy, error = diagnostics.c2st(normal(n, 1, 1), normal(n, 2, 1))
    assert abs(accuracy - 0.5) < 4 * 0.5 / math.sqrt(2 * n)
    assert 0 < error < 0.06


def test_c2st_is_as_good_as_the_bayes_classifier():
    pytest.importorskip("sklearn")
    n, shift = 500, 2.0
    a, b = normal(n, 3, 1), normal(n, 4, 1) + shift
    # Columns are standardised, and one that is constant does no harm.
    accuracy, _ = diagnostics.c2st(*(np.column_stack([1e3 * x + 5, np.ones(n)]) for x in (a, b)))
    best = PHI(shift / 2)
    spread = math.sqrt(best * (1 - best) / (2 * n))
    assert best - 0.02 - 3 * spread < accuracy < best + 3 * spread


def test_c2st_is_the_same_for_the_same_seed():
    pytest.importorskip("sklearn")
    a, b = normal(15, 5, 1), normal(15, 6, 1)
    assert diagnostics.c2st(a, b, seed=1) == diagnostics.c2st(a, b, seed=1) != diagnostics.c2st(a, b, seed=2)


@pytest.mark.parametrize("shift", [0.0, 1.0])
@pytest.mark.parametrize("dim", [1, 3])
def test_mmd_of_gaussians(dim, shift):
    n, width = 3000, 1.5
    a, b = normal(n, 5, dim), normal(n, 6, dim) + shift
    # x - y is N(m, 2), over which the kernel is a Gaussian integral
    within = (width**2 / (width**2 + 2)) ** (dim / 2)
    expected = 2 * within * (1 - math.exp(-dim * shift**2 / (2 * (width**2 + 2))))
    assert diagnostics.mmd(a, b, width) == pytest.approx(expected, abs=0.015 if shift else 0.002)


def test_mmd_is_the_sum_over_pairs(monkeypatch):
    a, b = normal(7, 7) + 1000, normal(5, 8) + 1000.5

    def kernel(x, y):
        return np.exp(-((x[:, None] - y[None]) ** 2).sum(axis=2) / (2 * width**2))

    width = np.median([np.linalg.norm(a[i] - a[j]) for i in range(7) for j in range(i)])
    expected = (kernel(a, a).sum() - 7) / 42 + (kernel(b, b).sum() - 5) / 20 - 2 * kernel(a, b).mean()
    assert diagnostics.mmd(a, b) == pytest.approx(expected, rel=1e-8)
    monkeypatch.setattr(diagnostics, "_BLOCK", 11)  # no multiple of anything
    assert diagnostics.mmd(a, b) == pytest.approx(expected, rel=1e-8)


def test_mmd_is_unbiased():
    found = [diagnostics.mmd(normal(50, 2 * i), normal(50, 2 * i + 1), 1.0) for i in range(200)]
    assert abs(np.mean(found)) < 4 * np.std(found) / math.sqrt(200)
    assert 40 < sum(value < 0 for value in found) < 160


def test_samples_that_do_not_fit():
    a = normal(10, 9)
    with pytest.raises(diffeo.errors.ShapeError, match="a has 2 columns, b has 1"):
        diagnostics.mmd(a, a[:, 0])
    with pytest.raises(diffeo.errors.ShapeError, match="two rows"):
        diagnostics.mmd(a, a[:1])
    with pytest.raises(ArithmeticError, match="b has a NaN"):
        diagnostics.mmd(a, np.full((3, 2), np.nan))
    with pytest.raises(ArithmeticError, match="give a bandwidth"):
        diagnostics.mmd(np.ones((4, 2)), a)
    for bandwidth in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(diffeo.errors.InvalidArgumentError, match="bandwidth"):
            diagnostics.mmd(a, a, bandwidth)


# -------------------------------------------------------------------------------------------- importance weights


def test_effective_sample_size():
    size = diagnostics.effective_sample_size
    assert size(np.zeros(50)) == pytest.approx(50)
    assert size([0.0, *[-math.inf] * 9]) == pytest.approx(1)
    assert size(np.log([1.0, 2.0, 3.0])) == pytest.approx(36 / 14)
    assert size(np.log([1.0, 2.0, 3.0]) - 5000) == pytest.approx(36 / 14)  # up to a constant
    # log-normal weights: E[w]^2 / E[w^2] = exp(-sigma^2)
    assert size(0.5 * normal(100_000, 10, 1)[:, 0]) / 100_000 == pytest.approx(math.exp(-0.25), rel=0.02)


@pytest.mark.parametrize("k", [-0.3, 0.0, 0.4, 0.7, 1.2])
def test_pareto_k_of_pareto_draws(k):
    rng = np.random.default_rng(11)
    found = []
    for _ in range(20):
        u = rng.random(10_000)  # the upper tail of a generalised Pareto distribution is one of the same k
        weights = 1 + (np.expm1(-k * np.log(u)) / k if k else -np.log(u))
        found.append(diagnostics.pareto_k(np.log(weights) + 700))
    size = 3 * math.sqrt(10_000)
    with_prior = (size * k + 5) / (size + 10)
    # The asymptotic deviation of one estimate is (1 + k) / sqrt(size), for k > -1/2.
    assert np.mean(found) == pytest.approx(with_prior, abs=4 * (1 + k) / math.sqrt(20 * size) + 0.01)


def test_pareto_k_of_importance_sampling():
    # p = N(0, 1), q = N(0, s^2): weights have moments below 1 / (1 - s^2), so that k is 1 - s^2; for s > 1 all
    z = normal(100_000, 12, 1)[:, 0]
    k = {s: diagnostics.pareto_k(0.5 * z**2 - 0.5 * (s * z) ** 2) for s in (0.4, 1.5)}
    assert k[0.4] == pytest.approx(1 - 0.4**2, abs=0.2)
    assert k[1.5] < 0.3


def test_weights_of_no_use():
    assert diagnostics.pareto_k(np.zeros(1000)) == -math.inf
    with pytest.raises(diffeo.errors.ShapeError, match="25 weights"):
        diagnostics.pareto_k(np.zeros(24))
    for function in (diagnostics.pareto_k, diagnostics.effective_sample_size):
        with pytest.raises(ArithmeticError, match="every weight is 0"):
            function(np.full(30, -math.inf))
        for bad in (math.nan, math.inf):
            with pytest.raises(ArithmeticError, match="NaN or"):
                function([*[0.0] * 30, bad])
        with pytest.raises(diffeo.errors.ShapeError):
            function(np.zeros((30, 2)))


# --------------------------------------------------------------------------------------------------- calibration


@pytest.mark.parametrize("make", [diffeo.maf, diffeo.nice], ids=["standard_normal", "logistic"])
def test_pit_is_the_distribution_function_of_the_noise(make):
    flow = make(dim=2, transforms=2, hidden=(8,), dtype="float64", standardize=False)
    z = np.array([[-8.0, -1.0], [0.0, 2.0], [8.0, math.nan]])
    x, _ = flow.from_noise(z)
    x[2, 1] = math.nan
    z, _ = flow.to_noise(x)
    function = PHI if make is diffeo.maf else lambda value: 1 / (1 + math.exp(-value))
    expected = [[function(value) for value in row] for row in z]
    np.testing.assert_allclose(diagnostics.pit(flow, x), expected, rtol=1e-6, atol=1e-16)


def test_pit_of_the_flow_itself_is_uniform(conditional):
    pytest.importorskip("scipy")
    _, context = regression(3000, seed=13)
    exact = diagnostics.pit(conditional, conditional.sample(3000, context, seed=1), context)
    assert exact.shape == (3000, 3)
    assert (diagnostics.uniformity(exact) > 1e-4).all()
    # and that of others is not
    shifted = diagnostics.pit(conditional, conditional.sample(3000, context, seed=1) + 0.5, context)
    assert (diagnostics.uniformity(shifted) < 1e-6).all()


def test_pit_keeps_shapes_and_refuses_other_bases(trained):
    assert diagnostics.pit(trained, [0.0, 1.0]).shape == (2,)
    flow = diffeo.Spec(dim=2).add_actnorm().set_base("student_t").build()
    with pytest.raises(NotImplementedError, match="the base of this one is student_t"):
        diagnostics.pit(flow, np.zeros((3, 2)))


def conjugate(n, draws, seed, widen=1.0, shift=0.0):
    """Two columns of theta ~ N(0, 1), x ~ N(theta, 1): theta, and draws of N(x / 2, 1 / 2), made worse as wanted."""
    rng = np.random.default_rng(seed)
    theta = rng.normal(size=(n, 2))
    x = theta + rng.normal(size=(n, 2))
    return theta, x[:, None] / 2 + shift + widen * math.sqrt(0.5) * rng.normal(size=(n, draws, 2))


def test_ranks_are_counts():
    ranks = diagnostics.sbc_ranks([[0.5], [9.0], [-9.0]], np.tile(np.arange(4.0), (3, 1))[..., None])
    np.testing.assert_array_equal(ranks, [[1], [4], [0]])


def test_calibration_of_a_conjugate_model():
    pytest.importorskip("scipy")
    n, draws = 1000, 99
    ranks = diagnostics.sbc_ranks(*conjugate(n, draws, 14))
    assert ranks.min() >= 0
    assert ranks.max() <= draws
    assert (diagnostics.uniformity(ranks, draws) > 1e-4).all()
    for wrong in ({"widen": 0.7}, {"widen": 1.4}, {"shift": 0.3}):
        ranks = diagnostics.sbc_ranks(*conjugate(n, draws, 15, **wrong))
        assert (diagnostics.uniformity(ranks, draws) < 1e-6).all()


def test_p_values_are_uniform():
    pytest.importorskip("scipy")
    rng = np.random.default_rng(16)
    ranks, numbers = rng.integers(0, 100, (200, 400)), rng.random((200, 400))
    for p in (diagnostics.uniformity(ranks, 99), diagnostics.uniformity(numbers)):
        assert p.shape == (400,)
        assert (diagnostics.uniformity(p) > 1e-3).all()


def test_uniformity_refuses():
    pytest.importorskip("scipy")
    with pytest.raises(ValueError, match="give draws"):
        diagnostics.uniformity(np.arange(100))
    for ranks in ([100.0] * 100, [0.5] * 100, [-1.0] * 100):
        with pytest.raises(ValueError, match="whole numbers from 0 to 99"):
            diagnostics.uniformity(ranks, 99)
    with pytest.raises(ValueError, match="bins of equal size"):
        diagnostics.uniformity(np.zeros(100), 100)  # 101 is a prime


def test_coverage_of_a_conjugate_model():
    n, draws = 3000, 200
    levels, exact = diagnostics.coverage(*conjugate(n, draws, 17))
    assert levels[0] == exact[0] == 0
    assert levels[-1] == exact[-1] == 1
    assert abs(exact - levels).max() < 4 * math.sqrt(0.25 / n) + 1 / draws
    middle = [0.1, 0.9]
    _, (low, high) = diagnostics.coverage(*conjugate(n, draws, 17, widen=0.5), levels=middle)
    assert low > 0.14
    assert high < 0.86
    _, (low, high) = diagnostics.coverage(*conjugate(n, draws, 17, widen=2.0), levels=middle)
    assert low < 0.06
    assert high > 0.94


def test_posterior_samples(conditional):
    _, context = regression(50, seed=18)
    samples = diagnostics.posterior_samples(conditional, context, 20, seed=3)
    assert samples.shape == (50, 20, 3)
    np.testing.assert_array_equal(samples[7], conditional.sample(20, context[7], seed=3, first_row=140))
    with pytest.raises(diffeo.errors.ShapeError, match="context_dim of this one is 0"):
        diagnostics.posterior_samples(diffeo.maf(dim=2), context)
    with pytest.raises(diffeo.errors.ShapeError, match="expected"):
        diagnostics.posterior_samples(conditional, context[0])


def test_truth_and_samples_must_fit():
    theta, samples = conjugate(10, 5, 19)
    for function in (diagnostics.sbc_ranks, diagnostics.coverage):
        with pytest.raises(diffeo.errors.ShapeError, match=r"expected \(10, draws, 2\)"):
            function(theta, samples[:9])
        with pytest.raises(ArithmeticError, match="samples has a NaN"):
            function(theta, samples * np.nan)


# ----------------------------------------------------------------------------------------------------- the extra


def test_what_is_missing_is_named(monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(_extras, "import_module", missing)
    for function, arguments in ((diagnostics.c2st, (normal(9, 0), normal(9, 1))), (diagnostics.uniformity, ([0.5],))):
        with pytest.raises(ImportError, match=r'pip install "diffeo\[diagnostics\]"'):
            function(*arguments)


def test_names():
    module = importlib.import_module("diffeo.diagnostics")
    for name in module.__all__:
        assert getattr(module, name).__doc__, name
