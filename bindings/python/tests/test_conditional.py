"""All contexts at once, quantiles and intervals of conditionals, some columns given others."""

import diffeo
import numpy as np
import pytest
from conftest import regression

C = np.random.default_rng(5).normal(1, 2, (6, 2))
X, _ = regression(9, seed=5)


def test_samples_of_each_context(conditional):
    x = conditional.sample(4, C, per_context=True, seed=3)
    assert x.shape == (6, 4, 3)
    np.testing.assert_array_equal(x.reshape(24, 3), conditional.sample(24, np.repeat(C, 4, axis=0), seed=3))
    for i in range(6):
        np.testing.assert_array_equal(conditional.sample(4, C[i], seed=3, first_row=4 * i), x[i])
    both, log_prob = conditional.sample_and_log_prob(4, C, per_context=True, seed=3)
    np.testing.assert_array_equal(both, x)
    np.testing.assert_allclose(log_prob[2], conditional.log_prob(x[2], C[2]), rtol=1e-9)
    assert conditional.sample(4, C[0], per_context=True, seed=3).shape == (1, 4, 3)
    assert conditional.sample(0, C, per_context=True).shape == (6, 0, 3)
    assert conditional.sample(4, C[:0], per_context=True).shape == (0, 4, 3)
    assert log_prob.shape == (6, 4)


@pytest.mark.parametrize("m", [1, 6])
def test_rows_crossed_with_contexts(conditional, m):
    expected = np.stack([conditional.log_prob(X, c) for c in C[:m]], axis=1)
    found = conditional.log_prob(X, C[:m], cross=True)
    np.testing.assert_array_equal(found, expected)
    for n in 1, 3:  # fewer rows than contexts, too
        np.testing.assert_array_equal(conditional.log_prob(X[:n], C[:m], cross=True), expected[:n])
    np.testing.assert_array_equal(conditional.log_prob(X[0], C[:m], cross=True), expected[0])
    assert conditional.log_prob(X[:0], C[:m], cross=True).shape == (0, m)
    assert conditional.log_prob(X.astype("f4"), C[:m], cross=True).dtype == np.float32


def test_crossing_wants_contexts(conditional, trained):
    with pytest.raises(ValueError, match="context is missing: this flow has context_dim 2"):
        conditional.log_prob(X, cross=True)
    with pytest.raises(ValueError, match="context has 3 columns, this flow has context_dim 2"):
        conditional.log_prob(X, np.zeros((4, 3)), cross=True)
    with pytest.raises(ValueError, match="this flow has no context"):
        trained.log_prob(X[:, :2], cross=True)
    with pytest.raises(ValueError, match="this flow has no context"):
        trained.sample(3, per_context=True)
    with pytest.raises(ValueError, match="leave out out"):
        conditional.log_prob(X, C, cross=True, out=np.empty((9, 6)))


def test_quantiles_are_those_of_samples(conditional):
    x = conditional.sample(500, C, per_context=True, seed=7).astype(float)
    found = conditional.quantiles([0.1, 0.5], C, draws=500, seed=7)
    assert found.shape == (6, 2, 3)
    np.testing.assert_allclose(found, np.moveaxis(np.quantile(x, [0.1, 0.5], axis=1), 0, 1))
    np.testing.assert_allclose(conditional.quantiles(0.5, C, draws=500, seed=7), np.median(x, axis=1))
    np.testing.assert_allclose(conditional.quantiles([0.1, 0.5], C[0], draws=500, seed=7), found[0])
    assert conditional.quantiles(0.5, C[0], draws=500, seed=7).shape == (3,)


def test_intervals_hold_what_they_say(conditional):
    central = conditional.credible_intervals(0.8, C, draws=4000, seed=1)
    shortest = conditional.credible_intervals(0.8, C, kind="shortest", draws=4000, seed=1)
    x = conditional.sample(4000, C, per_context=True, seed=2)
    for ends in central, shortest:
        inside = ((x >= ends[:, None, :, 0]) & (x <= ends[:, None, :, 1])).mean(axis=1)
        np.testing.assert_allclose(inside, 0.8, atol=0.04)
    assert (np.diff(shortest) <= np.diff(central) + 1e-9).all()
    assert conditional.credible_intervals(0.8, C[0], draws=100).shape == (3, 2)


def test_without_a_context(trained):
    assert trained.quantiles([0.2, 0.8], draws=200).shape == (2, 2)
    assert trained.credible_intervals(0.5, draws=200).shape == (2, 2)


def test_images():
    flow = diffeo.glow_image((1, 4, 4), levels=1, steps=1, hidden=(8,), context_dim=1)
    assert flow.sample(2, [[0.0], [1.0], [2.0]], per_context=True, seed=1).shape == (3, 2, 1, 4, 4)
    assert flow.quantiles([0.2, 0.8], [[0.0], [1.0]], draws=20).shape == (2, 2, 16)
    x = np.full((3, 1, 4, 4), 7.0)
    assert flow.log_prob(x, [[0.0], [1.0]], cross=True).shape == (3, 2)
    with pytest.raises(NotImplementedError, match="of images"):
        flow.given([0])


def test_quantiles_of_angles_go_from_their_mean():
    phi = np.random.default_rng(0).normal(np.pi, 0.3, 3000)
    x = (phi + np.pi) % (2 * np.pi) - np.pi
    flow = diffeo.for_table(x[:, None], ["phi:angle"], transforms=2, hidden=8)
    flow.fit(x[:, None], max_epochs=10, lr=1e-2, progress=False)
    low, middle, high = flow.quantiles([0.16, 0.5, 0.84], draws=4000)[:, 0]
    assert abs(np.exp(1j * middle) + 1) < 0.1
    assert high - low == pytest.approx(0.6, abs=0.15)
    assert low < middle < high


@pytest.mark.parametrize("call", ["quantiles", "credible_intervals"])
def test_what_is_no_level(trained, call):
    for wrong in -0.1, 1.1, np.nan:
        with pytest.raises(ValueError, match=r"must be (from 0 to 1|above 0 and below 1)"):
            getattr(trained, call)(wrong)
    with pytest.raises(ValueError, match="kind must be one of"):
        trained.credible_intervals(0.5, kind="wide")
    with pytest.raises(ValueError, match="draws must be from 2"):
        trained.quantiles(0.5, draws=1)


# ------------------------------------------------------------------------------------------ some columns given others

ORDER = [2, 0, 3, 1]


def ordered(base="standard_normal", context_dim=0, dtype="float64", **options):
    """Layers that all have the same order, far from the identity."""
    spec = diffeo.Spec(4, context_dim, dtype).add_standardize(np.arange(4.0), np.arange(1.0, 5.0))
    for _ in range(3):
        spec.add_actnorm().add_autoregressive((16,), order=ORDER, activation="tanh")
    spec.set_base(base, **options)
    flow = spec.build(seed=1)
    theta = flow.parameters()
    moved = flow.trained_parameters()
    theta[moved] += 0.3 * np.random.default_rng(2).normal(size=moved.sum())
    return flow.with_parameters(theta)


def integrated(flow, x, column, context=None):
    """Log of the integral of the density over a column, by a sum over a wide grid."""
    grid = np.linspace(-900, 900, 90001)
    rows = np.repeat(x[None], len(grid), axis=0)
    rows[:, column] = grid
    return np.log(np.exp(flow.log_prob(rows, context)).sum() * (grid[1] - grid[0]))


@pytest.mark.parametrize("base", ["standard_normal", "logistic"])
@pytest.mark.parametrize("context_dim", [0, 1])
def test_the_last_column_given_the_others(base, context_dim):
    flow = ordered(base, context_dim)
    context = [0.7] if context_dim else None
    last = flow.given([0, 2, 3])
    assert (last.given, last.rest, last.dim) == ((0, 2, 3), (1,), 1)
    x = flow.sample(5, context, seed=3)
    found = last.log_prob(x[:, [1]], x[:, [0, 2, 3]], context)
    expected = [flow.log_prob(row, context) - integrated(flow, row, 1, context) for row in x]
    np.testing.assert_allclose(found, expected, atol=2e-4)


def test_conditionals_multiply_to_the_whole():
    flow = ordered()
    x = flow.sample(50, seed=4)
    log_prob = flow.given([2]).log_prob(x[:, [0, 1, 3]], x[:, [2]])
    first = flow.log_prob(x) - log_prob
    # The rest is a density of column 2 alone.
    other = flow.sample(50, seed=5)
    other[:, 2] = x[:, 2]
    again = flow.log_prob(other) - flow.given([2]).log_prob(other[:, [0, 1, 3]], other[:, [2]])
    np.testing.assert_allclose(again, first, atol=1e-9)
    np.testing.assert_allclose(
        flow.given([0, 2]).log_prob(x[:, [1, 3]], x[:, [0, 2]]),
        flow.given([2, 0]).log_prob(x[:, [1, 3]], x[:, [2, 0]]),
        atol=1e-12,
    )


def test_samples_given_columns():
    flow = ordered()
    whole = flow.sample(3000, seed=6)
    rest = flow.given([2, 0])
    # Given what the flow drew itself, they are what it drew.
    np.testing.assert_allclose(rest.sample(3000, whole[:, [2, 0]], seed=6), whole[:, [1, 3]], atol=1e-8)
    x = rest.sample(2000, whole[0, [2, 0]], seed=7)
    assert x.shape == (2000, 2)
    many = rest.sample(5, whole[:3, [2, 0]], per_given=True, seed=8)
    assert many.shape == (3, 5, 2)
    np.testing.assert_array_equal(many[1], rest.sample(5, whole[1, [2, 0]], seed=8, first_row=5))
    # The entropy of samples and their density agree.
    log_prob = rest.log_prob(x, whole[0, [2, 0]])
    grid = rest.sample(2000, whole[0, [2, 0]], seed=9)
    assert abs(log_prob.mean() - rest.log_prob(grid, whole[0, [2, 0]]).mean()) < 0.15
    assert rest.log_prob(x[0], whole[0, [2, 0]]).shape == ()


def test_given_columns_by_name_and_kind():
    rng = np.random.default_rng(0)
    x = np.stack([np.exp(rng.normal(size=500)), rng.poisson(3, 500), rng.normal(size=500)], axis=1)
    flow = diffeo.for_table(x, ["m:positive", "n:count", "r"], "maf", transforms=1, hidden=8)
    flow.fit(x, max_epochs=2, progress=False)
    rest = flow.given(["m"])
    assert rest.columns == ("n", "r")
    drawn = rest.sample(100, [1.5], seed=1)
    assert (drawn[:, 0] == np.floor(drawn[:, 0])).all()
    found = rest.log_prob(drawn, [1.5])
    whole = np.column_stack([np.full(100, 1.5), drawn])
    assert np.ptp(flow.log_prob(whole) - found) < 1e-4
    with pytest.raises(ValueError, match="there is no column 'mass': the flow has 'm', 'n', 'r'"):
        flow.given(["mass"])


def test_columns_that_do_not_come_first():
    flow = ordered()
    with pytest.raises(
        NotImplementedError, match="the columns 0 do not come first in every layer: their noise depends on 2"
    ):
        flow.given([0])
    x = np.random.default_rng(0).normal(size=(300, 2)) @ [[1, 1], [0, 1]]
    turned = diffeo.maf(2, transforms=2, hidden=8)
    turned.fit(x, max_epochs=3, progress=False)
    with pytest.raises(NotImplementedError, match="do not come first"):
        turned.given([0])
    for wrong in [], [0, 1, 2, 3]:
        with pytest.raises(ValueError, match="of 4 columns are given: it must be some, not all"):
            flow.given(wrong)
    with pytest.raises(ValueError, match="a column is given twice"):
        flow.given([2, 2])
    with pytest.raises(ValueError, match="a column must be from 0 to 3, not 4"):
        flow.given([4])
    with pytest.raises(NotImplementedError, match="not student_t"):
        ordered("student_t").given([2])
    with pytest.raises(ValueError, match="given has 3 rows, x has 2"):
        flow.given([2]).log_prob(np.zeros((2, 3)), np.zeros((3, 1)))
    with pytest.raises(ValueError, match="x has 2 columns, this flow has dim 3"):
        flow.given([2]).log_prob(np.zeros((2, 2)), np.zeros((2, 1)))


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_data_frames_with_words_given_columns(library):
    frames = pytest.importorskip(library)
    rng = np.random.default_rng(0)
    n = 300
    colour = rng.choice(["red", "green"], n)
    frame = frames.DataFrame({"colour": colour, "m": np.exp(rng.normal(size=n)), "word": rng.choice(["a", "b"], n)})
    kinds = {"m": "positive", "colour": "category", "word": "category"}
    flow = diffeo.for_table(frame, kinds, "maf", transforms=1, hidden=8)
    flow.fit(frame, max_epochs=1, progress=False)
    rest = flow.given(["colour"])
    assert repr(rest).startswith("<diffeo.Given 'm', 'word' given 'colour' of <diffeo.Flow dim=3 ")
    codes = np.column_stack([colour == "red", frame["m"], np.asarray(frame["word"]) == "b"]).astype(float)
    found = rest.log_prob(frame[["word", "m"]], frame[["colour"]])
    np.testing.assert_array_equal(found, rest.log_prob(codes[:, 1:], codes[:, :1]))
    drawn = rest.sample(n, frame[["colour"]], seed=1)
    assert isinstance(drawn, frames.DataFrame)
    assert list(drawn.columns) == ["m", "word"]
    assert set(drawn["word"]) == {"a", "b"}
    assert rest.sample(2, frame[["colour"]], per_given=True, seed=1).shape == (n, 2, 2)
    with pytest.raises(ValueError, match="'word' missing"):
        rest.log_prob(frame[["m"]], frame[["colour"]])
    with pytest.raises(ValueError, match="frame is for samples in rows, with per_context they have one axis more"):
        diffeo.maf(dim=2, context_dim=1, hidden=4).sample(2, np.zeros((3, 1)), per_context=True, frame=library)
