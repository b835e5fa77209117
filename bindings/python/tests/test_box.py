"""Flows that leak out of the box of their data."""

import math

import diffeo
import numpy as np
import pytest


def normal(**options):
    return diffeo.Spec(dim=2, dtype="float64", **options)


def test_the_box_is_kept_with_the_flow(tmp_path):
    flow = normal().build()
    assert flow.prior_box is None
    flow.prior_box = (-1.0, [2.0, np.inf])
    flow.save(tmp_path / "flow.h5")
    low, high = diffeo.load(tmp_path / "flow.h5").prior_box
    np.testing.assert_array_equal(low, [-1, -1])
    np.testing.assert_array_equal(high, [2, np.inf])
    assert (
        diffeo.load(tmp_path / "flow.h5").metadata["diffeo.prior_box"] == '{"low": [-1.0, -1.0], "high": [2.0, null]}'
    )
    flow.prior_box = None
    assert flow.prior_box is None
    assert not flow.metadata


def test_within_the_box_the_density_integrates_to_one():
    flow = normal().build()
    flow.prior_box = ([-0.5, -1.0], [1.0, 2.0])
    inside = flow.truncated(draws=200_000, seed=3)
    cdf = [0.5 * (1 + math.erf(v / math.sqrt(2))) for v in (-0.5, 1.0, -1.0, 2.0)]
    exact = (cdf[1] - cdf[0]) * (cdf[3] - cdf[2])
    assert abs(inside.acceptance - exact) < 4 * inside.error
    assert 0 < inside.error < 0.002
    grid = np.stack(np.meshgrid(np.linspace(-2, 3, 401), np.linspace(-2, 3, 401)), axis=-1).reshape(-1, 2)
    total = np.exp(inside.log_prob(grid)).sum() * (5 / 400) ** 2
    assert abs(total - 1) < 0.02
    assert np.isneginf(inside.log_prob([[1.1, 0.0], [0.0, -1.1]])).all()
    np.testing.assert_allclose(inside.log_prob([0.1, 0.2]), flow.log_prob([0.1, 0.2]) - np.log(inside.acceptance))


def test_samples_are_those_of_the_flow_that_lie_inside():
    flow = normal().build()
    flow.prior_box = (0.0, np.inf)
    inside = flow.truncated(draws=1000)
    rows = flow.sample(40_000, seed=5)
    kept = rows[(rows >= 0).all(axis=1)]
    np.testing.assert_array_equal(inside.sample(5000, seed=5), kept[:5000])
    np.testing.assert_array_equal(inside.sample(10, seed=5), kept[:10])
    assert inside.sample(0, seed=5).shape == (0, 2)


def test_the_share_is_that_of_a_context():
    flow = normal(context_dim=1).set_base("normal", hidden=()).build()
    theta = flow.parameters()
    theta[:] = 0
    theta[0] = 2.0  # the mean of the first column is twice the context
    flow = flow.with_parameters(theta)
    flow.prior_box = ([0.0, -np.inf], np.inf)
    shares = [flow.truncated([c], draws=20_000).acceptance for c in (-1.0, 0.0, 1.0)]
    np.testing.assert_allclose(shares, [0.0228, 0.5, 0.9772], atol=0.02)


@pytest.mark.parametrize(
    ("box", "error", "words"),
    [
        (((1.0, 0.0), (2.0, 0.0)), ValueError, "column 1 low is 0, high 0"),
        (((0.0, np.nan), 1.0), ValueError, "column 1"),
        (((0.0, 1.0, 2.0), 3.0), diffeo.errors.ShapeError, "3"),
    ],
)
def test_what_is_no_box_is_refused(box, error, words):
    flow = normal().build()
    with pytest.raises(error, match=words):
        flow.prior_box = box


def test_without_a_box_or_samples_in_it_there_is_nothing_to_truncate():
    flow = normal().build()
    with pytest.raises(ValueError, match="no prior_box"):
        flow.truncated()
    flow.prior_box = (50.0, 51.0)
    with pytest.raises(diffeo.errors.NumericError, match="none of 1000"):
        flow.truncated(draws=1000)
