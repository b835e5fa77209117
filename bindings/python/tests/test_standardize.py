"""What layers take from the data when training begins, and what they refuse."""

import diffeo
import numpy as np
import pytest

RNG = np.random.default_rng(0)


def begun(flow, *given, **options):
    """The flow with what its layers take from the data."""
    return diffeo.Trainer(flow, *given, validation=0, **options).current


def constants(flow):
    """Mean and std of the first layer, without a context."""
    mean, std, _ = np.split(flow.parameters(), [flow.dim, 2 * flow.dim])
    return mean, std


def test_robust_constants_are_quantiles():
    x = RNG.normal([3, -7], [2, 0.5], size=(20_001, 2))
    x[::100] = 1e9
    ordered = np.sort(x, axis=0)
    flow = begun(diffeo.Spec(2, dtype="float64").add_standardize(robust=True).build(), x)
    mean, std = constants(flow)
    n = len(x)
    tail = 0.15865525393145707
    at = lambda p: ordered[int(np.ceil(p * n)) - 1]  # noqa: E731
    assert np.array_equal(mean, at(0.5))
    assert np.allclose(std, (at(1 - tail) - at(tail)) / 2, rtol=1e-12)
    assert np.allclose(mean, [3, -7], atol=0.1)
    assert np.allclose(std, [2, 0.5], rtol=0.05)


def test_robust_constants_know_weights():
    x = np.concatenate([RNG.normal(size=(1000, 1)), RNG.normal(50, 3, size=(1000, 1))])
    weights = np.repeat([0.0, 1.0], 1000)
    flow = begun(diffeo.Spec(1, dtype="float64").add_standardize(robust=True).build(), x, weights=weights)
    alone = begun(diffeo.Spec(1, dtype="float64").add_standardize(robust=True).build(), x[1000:])
    assert np.allclose(constants(flow), constants(alone))


def test_where_quantiles_are_equal_the_deviation_counts():
    x = np.concatenate([np.zeros((800, 1)), RNG.normal(size=(200, 1))])
    with pytest.warns(diffeo.TrainingWarning, match="is 0 in 80 %"):
        flow = begun(diffeo.Spec(1, dtype="float64").add_standardize(robust=True).build(), x)
    mean, std = constants(flow)
    assert mean == 0
    assert std == pytest.approx(x.std())


def test_robust_flows_learn_beside_wild_values():
    """One failed simulation erases a context that is standardised by its deviation."""
    theta = RNG.normal(size=(4000, 1))
    x = theta + 0.3 * RNG.normal(size=(4000, 1))
    x[0] = 1e12
    options = {"max_epochs": 12, "lr": 5e-3, "progress": False, "validation": (theta[1:500], x[1:500])}
    make = lambda **given: diffeo.maf(dim=1, context_dim=1, hidden=(32, 32), **given)  # noqa: E731
    with pytest.warns(diffeo.TrainingWarning, match='standardize="robust"'):
        erased = make().fit(theta, x, **options)
    assert erased.best_log_prob < -1.3
    learned = make(standardize="robust").fit(theta, x, **options)
    assert learned.best_log_prob > -0.4


@pytest.mark.parametrize("standardize", [True, False, "deviation", "robust"])
def test_named_flows_say_how_they_standardise(standardize, tmp_path):
    flow = diffeo.maf(dim=2, context_dim=1, hidden=(8,), standardize=standardize)
    assert ("standardize" in str(flow)) == bool(standardize)
    assert str(flow).count("by quantiles") == (2 if standardize == "robust" else 0)
    flow.save(tmp_path / "flow.h5")
    assert str(diffeo.load(tmp_path / "flow.h5")) == str(flow)
    with pytest.raises(ValueError, match="standardize must be one of 'deviation', 'robust', not 'mad'"):
        diffeo.maf(dim=2, standardize="mad")


def test_messages_say_whose_column_it_is():
    x = RNG.normal(size=(1000, 1))
    c = np.full((1000, 1), 1.7e9) + RNG.normal(size=(1000, 1))
    with pytest.raises(
        diffeo.errors.NumericError, match=r"context: column 0 has mean 1700000\d\d\d\.0 and standard deviation 0\.0"
    ):
        begun(diffeo.maf(dim=1, context_dim=1, hidden=(8,)), x, c)
    # A constant context does no harm.
    begun(diffeo.maf(dim=1, context_dim=1, hidden=(8,)), x, np.full((1000, 1), 5.0))
    with pytest.raises(diffeo.errors.NumericError, match="x: column 0 has mean"):
        begun(diffeo.maf(dim=1, hidden=(8,)), np.ones((1000, 1)))


def test_rows_that_are_left_to_train_on_are_counted():
    flow = diffeo.maf(dim=2, hidden=(8,))
    for n, share in (100, 0.999), (2, 0.5):
        with pytest.raises(diffeo.errors.ShapeError, match=rf"x has {n} rows, of which validation {share} holds out"):
            flow.fit(RNG.normal(size=(n, 2)), validation=share, progress=False)


def test_batch_norm_wants_minibatches():
    x = RNG.normal(size=(200, 2))

    def flow():
        return diffeo.maf(dim=2, hidden=(8,), batch_norm=True)

    for rows, size in (200, 1), (3, 2):
        with pytest.raises(
            diffeo.errors.InvalidArgumentError, match=f"one row has none: batch_size is {size}, of {rows} rows"
        ):
            flow().fit(x[:rows], batch_size=size, validation=0, progress=False)


@pytest.mark.parametrize("size", [2, 3, 512])
def test_batch_norm_is_judged_as_it_is_used(size):
    x = RNG.normal(size=(200, 2))
    flow = diffeo.maf(dim=2, hidden=(8,), batch_norm=True)
    found = flow.fit(x, batch_size=size, validation=0, max_epochs=4, patience=0, progress=False)
    assert flow.log_prob(x).mean() == pytest.approx(found.best_log_prob, abs=1e-4)
    assert found.best_log_prob > -4


@pytest.mark.parametrize("dim", [1, 2, 5])
def test_conditional_planar_flows_begin_near_the_identity(dim):
    x, c = RNG.normal(size=(2000, dim)), RNG.normal(size=(2000, 2))
    normal = diffeo.Spec(dim).build().log_prob(x).mean()
    for seed in range(20):
        flow = diffeo.planar(dim=dim, context_dim=2, seed=seed, standardize=False)
        assert flow.log_prob(x, c).mean() == pytest.approx(normal, abs=0.2 * dim)
