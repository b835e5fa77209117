"""Flows whose networks are functions of JAX: what is read, and what is refused, with the reason.

Needs the libraries: make test-exchange.
"""

import diffeo
import flows
import numpy as np
import pytest
from diffeo.exchange import ConversionError

jax = pytest.importorskip("jax")
d = pytest.importorskip("distrax")
import jax.numpy as jnp  # noqa: E402
from tensorflow_probability.substrates import jax as tfp  # noqa: E402

DIM = 4


@pytest.fixture(autouse=True)
def _double():
    jax.config.update("jax_enable_x64", True)


def flow(bijector):
    return d.Transformed(d.MultivariateNormalDiag(jnp.zeros(DIM), jnp.ones(DIM)), bijector)


def coupling(network, make=lambda p: d.ScalarAffine(p[..., 0], log_scale=p[..., 1])):
    mask = jnp.arange(DIM) < 2
    return flow(d.MaskedCoupling(mask, lambda x: network(x).reshape(*x.shape[:-1], DIM, 2), make))


def dense(*sizes, **more):
    return flows.dense(np.random.default_rng(0), *sizes, **more)


def test_rows_alone():
    """A conditioner that takes no batches."""
    network = dense(DIM, 7, 2 * DIM)
    mask = jnp.arange(DIM) < 2
    theirs = d.MaskedCoupling(
        mask, lambda x: network(x).reshape(DIM, 2), lambda p: d.ScalarAffine(p[:, 0], jnp.exp(p[:, 1]))
    )
    converted = diffeo.convert(flow(theirs))
    x = np.random.default_rng(1).normal(size=(5, DIM))
    expected = [float(flow(theirs).log_prob(row)) for row in x]
    np.testing.assert_allclose(converted.log_prob(x), expected, rtol=1e-10)


def test_weights_in_single():
    """Networks of float32 become flows of float32, and both sides are computed in float64."""
    jax.config.update("jax_enable_x64", False)
    converted = diffeo.convert(coupling(dense(DIM, 7, 2 * DIM)))
    assert converted.dtype == np.float32
    assert not jax.config.jax_enable_x64


@pytest.mark.parametrize(
    ("network", "reason"),
    [
        (lambda: lambda x: dense(DIM, 2 * DIM)(jnp.tanh(dense(DIM, 5, DIM)(x))), "several activations: relu, tanh"),
        (lambda: lambda x: dense(DIM, 2 * DIM)(x + jnp.tanh(x)), "different depths|is none of"),
        (lambda: dense(DIM, 5, 2 * DIM, activation=jnp.sin), "is none of"),
        (lambda: dense(DIM, 5, 2 * DIM, activation=lambda h: h / jnp.std(h)), "depends on several"),
        (
            lambda: dense(DIM, 5, 2 * DIM, activation=lambda h: jnp.sin(h) * jnp.arange(1.0, 6.0)),
            "different activations",
        ),
    ],
)
def test_refused_networks(network, reason):
    with pytest.raises(ConversionError, match=reason) as error:
        diffeo.convert(coupling(network()))
    assert error.value.path == "bijector"


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda p: d.ScalarAffine(p[..., 0], p[..., 1] ** 2), "its scale is none that Diffeo knows"),
        (lambda p: d.ScalarAffine(jnp.sin(p[..., 0]), jnp.exp(p[..., 1])), "shift is not one of the outputs"),
        (lambda p: d.ScalarAffine(0.0, jnp.exp(jnp.tanh(p[..., 1]) * jnp.arange(1.0, 5.0))), "by more than a factor"),
        (lambda p: d.Chain([d.Tanh(), d.Shift(p[..., 0])]), "neither affine nor a spline"),
    ],
)
def test_refused_maps(make, reason):
    with pytest.raises(ConversionError, match=reason):
        diffeo.convert(coupling(dense(DIM, 5, 2 * DIM), make))


def test_inputs_that_are_added_to_the_outputs():
    """Networks of autoregressive layers have that, those of couplings have not."""
    rng, ordered = np.random.default_rng(0), np.arange(DIM)
    first, last = (ordered[:, None] <= ordered, ordered[:, None] < np.repeat(ordered, 2))
    w, v, direct = rng.normal(size=(DIM, DIM)) * first, *(rng.normal(size=(2, DIM, 2 * DIM)) * last)

    def network(x):
        return jnp.tanh(x @ w) @ v + x @ direct

    base = tfp.distributions.Sample(tfp.distributions.Normal(jnp.zeros(()), 1.0), DIM)
    made = tfp.bijectors.MaskedAutoregressiveFlow(lambda x: network(x).reshape(*x.shape[:-1], DIM, 2))
    theirs = tfp.distributions.TransformedDistribution(base, made)
    converted, x = diffeo.convert(theirs), rng.normal(size=(5, DIM))
    np.testing.assert_allclose(converted.log_prob(x), theirs.log_prob(x), rtol=1e-10)
    with pytest.raises(ConversionError, match="adds its inputs to its outputs"):
        diffeo.convert(coupling(network))
    with pytest.raises(ConversionError, match="a hidden layer reads the inputs besides"):
        diffeo.convert(coupling(lambda x: jnp.tanh(jnp.tanh(x @ w) @ w + x) @ v))


def test_refused_parts():
    base = tfp.distributions.Sample(tfp.distributions.Normal(jnp.zeros(()), 1.0), DIM)
    free = tfp.bijectors.MaskedAutoregressiveFlow(lambda x: dense(DIM, 2 * DIM)(x).reshape(*x.shape[:-1], DIM, 2))
    for bijector, reason in (
        (free, "the masks are not autoregressive"),
        (tfp.bijectors.SinhArcsinh(skewness=jnp.full((), 0.1)), "no layer for it"),
    ):
        with pytest.raises(ConversionError, match=reason):
            diffeo.convert(tfp.distributions.TransformedDistribution(base, bijector))
    with pytest.raises(ConversionError, match=r"GumbelCDF.*no layer for it"):
        diffeo.convert(flow(d.Block(d.GumbelCDF(), 1)))
    with pytest.raises(ConversionError, match="flow of vectors"):
        diffeo.convert(d.Transformed(d.Normal(0.0, 1.0), d.Tanh()))
