"""Flows that read features of their context, which a network makes."""

import diffeo
import numpy as np
import pytest
from conftest import gradient_by_differences

RNG = np.random.default_rng(1)
X, CONTEXT = RNG.normal(size=(150, 3)), RNG.normal(2.0, 3.0, (150, 5))
MEAN, STD = CONTEXT.mean(axis=0), CONTEXT.std(axis=0)
WIDTHS = (7, 6)


def spec(context_dim=5, **options):
    return diffeo.Spec(dim=3, context_dim=context_dim, **({"dtype": "float64"} | options))


def reading(made):
    """Whatever reads a context."""
    made.add_autoregressive((8,), activation="tanh", order="random", seed=4)
    made.add_coupling((8,), activation="tanh", mask="odd").add_planar((6,), "tanh")
    made.add_elementwise(hidden=(5,), activation="silu").add_coupling((8, 8), blocks="residual", context_mode="gate")
    return made.set_base("normal", hidden=(6,), activation="tanh")


def embedded(**options):
    embedding = diffeo.Embedding(2, hidden=WIDTHS, activation="tanh")
    return reading(spec(**options).standardize_context(MEAN, STD).set_embedding(embedding))


def randomised(flow, seed=3):
    theta, trained = flow.parameters(), flow.trained_parameters()
    noise = np.random.default_rng(seed).normal(0, 0.4, theta.size)
    return flow.with_parameters(theta + np.where(trained, noise, 0))


def features_of(flow):
    """The network by its weights, and what is behind them in the vector of the parameters."""
    theta, h = flow.parameters(), (CONTEXT - MEAN) / STD
    at = 2 * 5 + 1
    for i, width in enumerate((*WIDTHS, 2)):
        weight = theta[at : at + width * h.shape[1]].reshape(width, -1)
        at += weight.size
        h = h @ weight.T + theta[at : at + width]
        at += width
        if i < len(WIDTHS):
            h = np.tanh(h)
    return h, theta[at:]


def test_layers_and_the_base_read_the_features():
    flow = randomised(embedded().build())
    assert (flow.context_dim, flow.dim) == (5, 3)
    assert "embedding  5 to 2 features, hidden 7 x 6 tanh" in str(flow)
    features, rest = features_of(flow)
    plain = reading(spec(context_dim=2)).build().with_parameters(rest)
    np.testing.assert_allclose(flow.log_prob(X, CONTEXT), plain.log_prob(X, features), rtol=1e-11)
    np.testing.assert_allclose(flow.to_noise(X, CONTEXT)[0], plain.to_noise(X, features)[0], rtol=1e-10, atol=1e-12)
    samples = flow.sample(150, CONTEXT, seed=5)
    np.testing.assert_allclose(samples, plain.sample(150, features, seed=5), rtol=1e-10, atol=1e-12)


def test_gradients_are_those_of_differences():
    flow = randomised(embedded().build())
    x, context = X[:20], CONTEXT[:20]
    by_context = gradient_by_differences(lambda c: flow.log_prob(x, c), context)
    np.testing.assert_allclose(flow.grad_log_prob_context(x, context), by_context, rtol=1e-5, atol=1e-6)
    gradients = flow.log_prob_vjp(x, context, g_log_prob=np.ones(20))
    theta, step = flow.parameters(), 1e-6

    def mean(change):
        return flow.with_parameters(theta + change).log_prob(x, context).sum()

    of_the_network = np.flatnonzero(flow.trained_parameters())[::9]
    for i in of_the_network:
        one = np.zeros(theta.size)
        one[i] = step
        difference = (mean(one) - mean(-one)) / (2 * step)
        np.testing.assert_allclose(gradients.parameters[i], difference, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rows", [1, 3, 64, 150])
def test_one_context_for_all_rows_has_the_bits_of_one_a_row(dtype, rows):
    flow = randomised(embedded(dtype=dtype).build())
    one, x = CONTEXT[7].astype(dtype), X[:rows].astype(dtype)
    each = np.tile(one, (rows, 1))
    np.testing.assert_array_equal(flow.log_prob(x, one), flow.log_prob(x, each))
    np.testing.assert_array_equal(flow.sample(rows, one, seed=2), flow.sample(rows, each, seed=2))
    np.testing.assert_array_equal(flow.grad_log_prob(x, one), flow.grad_log_prob(x, each))


def test_it_is_trained_and_kept(tmp_path):
    rng = np.random.default_rng(4)
    context = rng.normal(size=(3000, 20))
    x = np.stack([context[:, 3] + context[:, 7], context[:, 11]], axis=1) + 0.3 * rng.normal(size=(3000, 2))
    flow = diffeo.maf(dim=2, context_dim=20, embedding=diffeo.Embedding(3, hidden=(32,)), hidden=(32,), transforms=2)
    before = flow.parameters()
    flow.fit(x, context, max_epochs=12, batch_size=100, lr=5e-3, progress=False)
    moved = before != flow.parameters()
    first = 2 * 20 + 1  # behind what standardises the context
    assert moved[first : first + 32 * 20].mean() > 0.95
    exact = -2 * (np.log(0.3) + 0.5 * np.log(2 * np.pi) + 0.5)
    assert flow.log_prob(x, context).mean() > exact - 0.15
    flow.save(tmp_path / "flow.h5")
    again = diffeo.load(tmp_path / "flow.h5")
    np.testing.assert_array_equal(again.log_prob(x, context), flow.log_prob(x, context))
    assert str(again) == str(flow)


def test_every_flow_by_name_may_have_one():
    embedding = diffeo.Embedding(2, hidden=(6, 6), blocks="preactivation", normalized=True, dropout=0.1)
    for make in (
        diffeo.nice, diffeo.realnvp, diffeo.glow, diffeo.made, diffeo.maf, diffeo.iaf, diffeo.planar, diffeo.radial,
        diffeo.cdf_flow, diffeo.spline_coupling, diffeo.spline_autoregressive,
    ):  # fmt: skip
        flow = make(dim=3, context_dim=5, embedding=embedding, hidden=(8,))
        assert "embedding  5 to 2 features, hidden 6 x 6 relu, residual blocks" in str(flow)
        flow.fit(X, CONTEXT, max_epochs=1, progress=False)
        assert np.isfinite(flow.log_prob(X, CONTEXT)).all()


def test_variational_training_moves_it():
    flow = randomised(reading(spec(dtype="float32").set_embedding(diffeo.Embedding(2, (6,), "tanh"))).build())

    def target(x, context):
        return -0.5 * ((x - context[:, :3]) ** 2).sum(axis=1), context[:, :3] - x

    trainer = diffeo.TargetTrainer(flow, target, context=CONTEXT.astype("float32"), steps=20, batch_size=64)
    before = flow.parameters()
    trainer.step(20)
    moved = before != trainer.current.parameters()
    assert moved[: 6 * 5].mean() > 0.9


@pytest.mark.parametrize(
    ("add", "error", "words"),
    [
        (lambda s: s.add_actnorm().set_embedding(diffeo.Embedding(2)), diffeo.errors.StateError, "before layers"),
        (
            lambda s: s.set_base("normal", hidden=(3,)).set_embedding(diffeo.Embedding(2)),
            diffeo.errors.StateError, "before layers and the base",
        ),
        (
            lambda s: s.set_embedding(diffeo.Embedding(2)).set_embedding(diffeo.Embedding(2)),
            diffeo.errors.InvalidArgumentError, "already",
        ),
        (lambda s: s.set_embedding(diffeo.Embedding(70000)), diffeo.errors.InvalidArgumentError, "70000"),
        (lambda s: s.set_embedding(diffeo.Embedding(2, hidden=(0,))), diffeo.errors.InvalidArgumentError, "hidden"),
        (
            lambda s: s.set_embedding(diffeo.Embedding(2, hidden=(), blocks="residual")),
            diffeo.errors.InvalidArgumentError, "hidden layer",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(add, error, words):
    with pytest.raises(error, match=words):
        add(spec())


def test_without_a_context_there_is_nothing_to_embed():
    with pytest.raises(diffeo.Error, match="no context"):
        diffeo.Spec(dim=3).set_embedding(diffeo.Embedding(2))
    with pytest.raises(diffeo.Error, match="no context"):
        diffeo.maf(dim=3, embedding=diffeo.Embedding(2))
