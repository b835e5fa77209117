"""Two flows as one."""

import diffeo
import numpy as np
import pytest

RNG = np.random.default_rng(0)
X, CONTEXT = RNG.normal(0.5, 2.0, (200, 3)), RNG.normal(size=(200, 2))


def randomised(flow, seed=1):
    theta = flow.parameters()
    noise = np.random.default_rng(seed).normal(0, 0.2, theta.size)
    return flow.with_parameters(theta + np.where(flow.trained_parameters(), noise, 0))


def maf(**options):
    return randomised(diffeo.maf(dim=3, transforms=2, hidden=(8,), dtype="float64", standardize=False, **options))


def holds(first, then, context=None, of_first=None, of_then=None):
    """Data goes through the one, then through the other."""
    both = diffeo.compose(first, then)
    z, log_det = first.to_noise(X, of_first)
    expected, log_det_then = then.to_noise(z, of_then)
    found, log_det_both = both.to_noise(X, context)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(log_det_both, log_det + log_det_then, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(both.log_prob(X, context), log_det + then.log_prob(z, of_then), rtol=1e-12)
    back = first.from_noise(then.sample(200, of_then, seed=3), of_first)[0]
    np.testing.assert_allclose(both.sample(200, context, seed=3), back, rtol=1e-9, atol=1e-9)
    return both


def test_data_goes_through_the_first_and_then_through_the_other():
    both = holds(maf(seed=1), maf(seed=2, base="logistic"))
    assert both.layer_count == 4
    assert "base  logistic" in str(both)


def test_before_and_after():
    flow, mean, std = maf(), [1.0, 2.0, 3.0], [2.0, 0.5, 4.0]
    before = diffeo.Spec(3).add_standardize(mean, std)
    both = flow.after(before)
    expected = flow.log_prob((X - mean) / std) - np.log(std).sum()
    np.testing.assert_allclose(both.log_prob(X), expected, rtol=1e-12)


def test_a_spec_is_built_in_the_type_of_the_flow():
    for dtype in ("float32", "float64"):
        flow = diffeo.maf(dim=3, hidden=(8,), transforms=1, dtype=dtype, standardize=False)
        assert flow.after(diffeo.Spec(3).add_reverse()).dtype == np.dtype(dtype)
        assert flow.before(diffeo.Spec(3).set_base("student_t")).dtype == np.dtype(dtype)


def test_a_base_behind_it():
    flow = maf()
    other = flow.before(diffeo.Spec(3).set_base("student_t", df=3.0))
    z, log_det = flow.to_noise(X)
    from math import lgamma, log, pi

    constant = lgamma(2.0) - lgamma(1.5) - 0.5 * log(3 * pi)
    expected = log_det + (constant - 2 * np.log1p(z**2 / 3)).sum(axis=1)
    np.testing.assert_allclose(other.log_prob(X), expected, rtol=1e-12)


READERS = {
    "plain": lambda s: s.add_coupling((6,), activation="tanh").add_autoregressive((7,), direct=True, activation="tanh"),
    "residual": lambda s: s.add_coupling((6, 6), blocks="residual").add_autoregressive((7, 7), blocks="preactivation"),
    "spline": lambda s: s.add_coupling((6,), transformer=diffeo.Spline(4)).add_elementwise(),
    "made": lambda s: s.add_lu(seed=2).set_base_made((8,), masks=2, order="random", degrees="random", seed=3),
    "vectors": lambda s: s.add_planar().add_radial().set_base("normal"),
}


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("embedded", [False, True])
def test_what_has_no_context_ignores_that_of_the_other(name, embedded):
    without = randomised(READERS[name](diffeo.Spec(3, dtype="float64")).build())
    spec = diffeo.Spec(3, 2, dtype="float64").standardize_context([0.1, 0.2], [2, 3])
    if embedded:
        spec.set_embedding(diffeo.Embedding(4, (5,)))
    given = randomised(spec.add_autoregressive((8,)).set_base("normal", hidden=(6,)).build())
    assert holds(without, given, CONTEXT, None, CONTEXT).context_dim == 2
    if name != "made":  # whose samples are its own
        assert holds(given, without, CONTEXT, CONTEXT, None).context_dim == 2


def test_images_keep_their_shape():
    image = diffeo.Spec(shape=(2, 4, 4), context_dim=1, dtype="float64").add_squeeze().add_lu().add_image_coupling((4,))
    image = randomised(image.build())
    rows = RNG.normal(size=(10, 2, 4, 4))
    after = diffeo.Spec(32, dtype="float64").add_actnorm().add_coupling((5,)).build()
    both = image.before(after)
    assert both.shape == (2, 4, 4)
    context = RNG.normal(size=(10, 1))
    z, log_det = image.to_noise(rows, context)
    np.testing.assert_allclose(both.log_prob(rows, context), log_det + after.log_prob(z.reshape(10, -1)), rtol=1e-11)
    before = diffeo.Spec(shape=(2, 4, 4), dtype="float64").add_squeeze().add_image_coupling((4,)).add_unsqueeze()
    assert image.after(before).shape == (2, 4, 4)


def test_the_same_context_is_shared():
    def reader(seed):
        spec = diffeo.Spec(3, 2, dtype="float64").standardize_context([0.5, 1], [2, 3])
        return spec.add_autoregressive((8,), activation="tanh").build(seed=seed)

    holds(randomised(reader(1), 1), randomised(reader(2), 2), CONTEXT, CONTEXT, CONTEXT)


def test_metadata_are_those_of_both():
    first, then = maf(seed=1), maf(seed=2)
    first.metadata.update(a="first", b="first")
    then.metadata.update(b="then", c="then")
    assert dict(diffeo.compose(first, then).metadata) == {"a": "first", "b": "first", "c": "then"}


def test_it_is_saved_and_trained(tmp_path):
    flow = maf().after(diffeo.Spec(3).add_standardize())
    flow.fit(X, max_epochs=2, progress=False)
    flow.save(tmp_path / "flow.h5")
    np.testing.assert_array_equal(diffeo.load(tmp_path / "flow.h5").log_prob(X), flow.log_prob(X))


@pytest.mark.parametrize(
    ("first", "then", "error", "words"),
    [
        (lambda: maf(), lambda: diffeo.Spec(2, dtype="float64").build(), diffeo.errors.ShapeError, "3, the second 2"),
        (lambda: maf(), lambda: diffeo.Spec(3).build(), diffeo.errors.DtypeError, "float64, the second in float32"),
        (
            lambda: diffeo.Spec(3, 2).add_coupling().build(), lambda: diffeo.Spec(3, 1).add_coupling().build(),
            diffeo.errors.ShapeError, "2 columns, the second of 1",
        ),
        (
            lambda: diffeo.Spec(3, 2).standardize_context([0, 0], [1, 2]).build(),
            lambda: diffeo.Spec(3, 2).standardize_context([0, 0], [1, 1]).build(),
            diffeo.errors.InvalidArgumentError, "otherwise",
        ),
        (
            lambda: diffeo.Spec(3).add_domain("logit", low=0, high=1).invert().set_base("uniform").build(),
            lambda: diffeo.Spec(3).build(), diffeo.errors.InvalidArgumentError, "does not reach",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(first, then, error, words):
    with pytest.raises(error, match=words):
        diffeo.compose(first(), then())


def test_what_is_no_flow_is_refused():
    with pytest.raises(TypeError, match="Flow or Spec"):
        maf().after([1, 2])
