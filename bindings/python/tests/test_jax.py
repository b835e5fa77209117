"""Flows inside JAX: under jit, grad and vmap."""

import diffeo
import numpy as np
import pytest
from diffeo.errors import ShapeError

jax = pytest.importorskip("jax", reason="JAX is not installed")

jax.config.update("jax_enable_x64", True)

import diffeo.jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
from jax.test_util import check_grads  # noqa: E402


@pytest.fixture(params=[0, 2], ids=["plain", "conditional"])
def made(request):
    flow = diffeo.maf(
        3, transforms=2, hidden=(7,), activation="tanh", context_dim=request.param, dtype="float64", seed=2
    )
    context = np.random.default_rng(4).normal(size=(5, 2)) if request.param else None
    return diffeo.jax.Flow(flow), context


def test_values_are_those_of_the_flow(made):
    flow, context = made
    x = np.random.default_rng(1).normal(size=(5, 3))
    plain = flow.flow(flow.weights)
    assert np.array_equal(jax.jit(flow.log_prob)(flow.weights, x, context), plain.log_prob(x, context))
    z, log_det = jax.jit(flow.to_noise)(flow.weights, x, context)
    assert np.array_equal(z, plain.to_noise(x, context)[0])
    back, _ = flow.from_noise(flow.weights, z, context)
    assert np.allclose(back, x)
    assert log_det.shape == (5,)


def test_gradients(made):
    flow, context = made
    x = np.random.default_rng(1).normal(size=(5, 3))
    given = () if context is None else (context,)
    for function in (flow.log_prob, flow.to_noise, flow.from_noise):
        check_grads(
            function, (flow.weights, x, *given), order=1, modes=["rev"], rtol=1e-5, atol=1e-5, eps=1e-6
        )  # fmt: skip
    key = jax.random.key(3)
    check_grads(
        lambda w, *c: flow.sample_and_log_prob(w, key, 5, *c),
        (flow.weights, *given),
        order=1, modes=["rev"], rtol=1e-5,
        atol=1e-5, eps=1e-6,
    )  # fmt: skip


def test_vmap_and_training():
    flow = diffeo.jax.Flow(diffeo.realnvp(2, transforms=3, hidden=(16,), seed=1))
    x = jnp.asarray(np.random.default_rng(2).normal(size=(256, 2)) @ [[1.0, 0.9], [0.0, 0.3]], jnp.float32)
    one_by_one = jax.vmap(lambda row: flow.log_prob(flow.weights, row))(x[:6])
    assert np.allclose(one_by_one, flow.log_prob(flow.weights, x[:6]))
    step = jax.jit(lambda w: w - 0.02 * jax.grad(lambda w: -flow.log_prob(w, x).mean())(w))
    weights = flow.weights
    before = flow.log_prob(weights, x).mean()
    for _ in range(40):
        weights = step(weights)
    assert flow.log_prob(weights, x).mean() > before + 0.3
    a = flow.sample(weights, jax.random.key(1), 100)
    assert np.array_equal(a, flow.sample(weights, jax.random.key(1), 100))
    assert not np.array_equal(a, flow.sample(weights, jax.random.key(2), 100))


def test_wrong_shapes(made):
    flow, context = made
    with pytest.raises(ShapeError, match="dim 3"):
        flow.log_prob(flow.weights, jnp.zeros((4, 2)), context)
    with pytest.raises(ShapeError, match="context"):
        flow.log_prob(flow.weights, jnp.zeros((4, 3)), None if context is not None else jnp.zeros((4, 1)))
