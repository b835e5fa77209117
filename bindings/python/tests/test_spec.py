"""Flows layer by layer."""

import inspect
import io
import re
from pathlib import Path

import diffeo
import h5py
import numpy as np
import pytest
from conftest import gradient_by_differences
from diffeo import _abi
from diffeo._abi import lib

X = np.random.default_rng(1).normal(1.5, 2.0, (60, 4))


def test_layers_chain():
    spec = diffeo.Spec(dim=4, dtype="float64")
    assert spec.add_standardize().add_actnorm().add_reverse().add_random_permutation(seed=3) is spec
    assert spec.add_permutation([2, 0, 3, 1]).add_autoregressive((8,)).add_coupling((8,)) is spec
    layers = "standardize, actnorm, reverse, random_permutation, permutation, autoregressive, coupling"
    assert repr(spec) == f"Spec(dim=4, context_dim=0, dtype='float64'): {layers}"
    flow = spec.build(seed=2)
    assert (flow.dim, flow.dtype, flow.layer_count) == (4, np.dtype("float64"), 7)
    z, _ = flow.to_noise(X)
    np.testing.assert_allclose(flow.from_noise(z)[0], X, rtol=1e-9, atol=1e-9)


def test_a_spec_builds_many_flows():
    spec = diffeo.Spec(dim=4, dtype="float64").add_autoregressive((8,))
    a, b, again = spec.build(seed=1), spec.build(seed=2), spec.build(seed=1)
    np.testing.assert_array_equal(a.log_prob(X), again.log_prob(X))
    assert (a.log_prob(X) != b.log_prob(X)).any()


def test_permutations():
    for spec, order in [
        (diffeo.Spec(4).add_permutation([2, 0, 3, 1]), [2, 0, 3, 1]),
        (diffeo.Spec(4).add_permutation(np.array([1, 2, 3, 0], np.int8)), [1, 2, 3, 0]),
        (diffeo.Spec(4).add_reverse(), [3, 2, 1, 0]),
    ]:
        z, log_det = spec.build().to_noise(X)
        np.testing.assert_array_equal(z, X.astype(np.float32)[:, order])
        assert (log_det == 0).all()
    z, _ = diffeo.Spec(4).add_random_permutation(seed=5).build().to_noise([0.0, 1.0, 2.0, 3.0])
    assert sorted(z) == [0, 1, 2, 3]


def test_standardize_with_given_numbers():
    mean, std = [1.0, 2.0, 3.0, 4.0], np.array([0.5, 1.0, 2.0, 4.0], np.float32)
    flow = diffeo.Spec(4, dtype="float64").add_standardize(mean, std).build()
    z, log_det = flow.to_noise(X)
    np.testing.assert_allclose(z, (X - mean) / std, rtol=1e-14, atol=1e-14)
    np.testing.assert_allclose(log_det, -np.log(std).sum(), atol=1e-12)


def test_standardize_from_the_data():
    flow = diffeo.Spec(4, dtype="float64").add_standardize().build()
    flow.fit(X, max_epochs=0, validation=0, progress=False)
    z, _ = flow.to_noise(X)
    np.testing.assert_allclose(z.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(z.std(axis=0), 1, rtol=0.02)


def test_standardize_context():
    context = X[:, :2] * 3 + 5
    options = {"dim": 4, "context_dim": 2, "dtype": "float64"}
    plain = diffeo.Spec(**options).standardize_context([0, 0], [1, 1]).add_autoregressive((8,)).build(seed=1)
    mean, std = context.mean(axis=0), context.std(axis=0)
    scaled = diffeo.Spec(**options).standardize_context(mean, std).add_autoregressive((8,)).build(seed=1)
    np.testing.assert_allclose(scaled.log_prob(X, context), plain.log_prob(X, (context - mean) / std), rtol=1e-9)


def randomised(flow):
    """The flow far from the identity, so that structure shows."""
    theta = flow.parameters()
    return flow.with_parameters(theta + np.random.default_rng(3).normal(0, 0.5, theta.size))


def jacobian(flow, x, step=1e-6, context=None):
    def z(x):
        return flow.to_noise(x, context)[0]

    return np.array([(z(x + step * e) - z(x - step * e)) / (2 * step) for e in np.eye(len(x))]).T


@pytest.mark.parametrize(
    ("order", "columns"),
    [
        ("natural", [0, 1, 2, 3]),
        ("reversed", [3, 2, 1, 0]),
        ([2, 0, 3, 1], [2, 0, 3, 1]),
        (np.array([1, 0, 3, 2]),) * 2,
    ],
)
def test_orders(order, columns):
    options = {"activation": "tanh", "order": order, "degrees": "random", "seed": 8}
    flow = randomised(diffeo.Spec(4, dtype="float64").add_autoregressive((32,), **options).build())
    ordered = jacobian(flow, X[0])[np.ix_(columns, columns)]
    np.testing.assert_allclose(np.triu(ordered, 1), 0, atol=1e-8)
    assert (np.abs(np.tril(ordered, -1)) > 1e-8).any()


def noisy(flow, x=X, context=None):
    """The flow after some training: far from the identity, its constants as they were."""
    x = x.copy()
    for column, levels in enumerate(flow.levels):
        if levels is not None:  # of counts
            x[:, column] = np.floor(10 * abs(x[:, column])) % (levels or 100)
    flow.fit(x, context, max_epochs=4, batch_size=10, lr=0.03, validation=0, progress=False)
    return flow


# What adds a layer; what its line in the summary says; the data it is for.
LAYERS = {
    "autoregressive": (lambda s: s.add_autoregressive((8,), activation="tanh"), "soft_clip"),
    "coupling": (lambda s: s.add_coupling((8,), activation="tanh"), "2 kept"),
    "autoregressive of residual blocks": (
        lambda s: s.add_autoregressive((8, 8, 6), activation="tanh", blocks="residual", context_mode="gate"),
        "residual blocks, gated by the context",
    ),
    "coupling of residual blocks": (
        lambda s: s.add_coupling(
            (8, 8), activation="tanh", blocks="preactivation", context_mode="shift", normalized=True
        ),
        "residual blocks with normalized preactivation, shifted by the context",
    ),
    "coupling with dropout": (lambda s: s.add_coupling((8, 8), activation="tanh", dropout=0.1), "8 tanh, dropout 0.1"),
    "spline coupling": (
        lambda s: s.add_coupling((8,), activation="tanh", transformer=diffeo.Spline(5, -9, 9)), "5 bins",
    ),
    "spline autoregressive": (
        lambda s: s.add_autoregressive((8,), activation="tanh", transformer=diffeo.Spline(min_width=0.01)),
        "linear spline",
    ),
    "spline of linear pieces": (
        lambda s: s.add_autoregressive((8,), activation="tanh", transformer=diffeo.LinearSpline(4, min_lambda=0.1)),
        "linear spline of 4 bins on [-4.0, 4.0], of linear pieces",
    ),
    "extended spline of linear pieces": (
        lambda s: s.add_elementwise(transformer=diffeo.LinearSpline(4, -20, 20, "extended")), "of linear pieces",
    ),
    "spline without minima": (
        lambda s: s.add_coupling((8,), activation="tanh", transformer=diffeo.Spline(
            5, -9, 9, min_width=0, min_height=0, min_derivative=0)),
        "linear spline",
    ),
    "mixture autoregressive": (
        lambda s: s.add_autoregressive((8,), activation="tanh", transformer=diffeo.Mixture(3)), "3 normal to logistic",
    ),
    "mixture coupling": (
        lambda s: s.add_coupling((8,), activation="tanh", transformer=diffeo.Mixture(2, "logistic", "uniform"))
        .add_domain("logit", [1, 3], low=0, high=1),
        "2 logistic to uniform",
    ),
    "sinh-arcsinh autoregressive": (
        lambda s: s.add_autoregressive((8,), activation="tanh", transformer="sinh_arcsinh", scale_bound=2),
        "sinh-arcsinh",
    ),
    "zuko's spline": (
        lambda s: s.add_autoregressive((8,), activation="tanh", transformer=diffeo.Spline(
            4, min_width=0, min_height=0, logit_bound=3.45, derivative="exp")),
        "linear spline",
    ),
    "extended spline": (
        lambda s: s.add_coupling((8,), activation="tanh", transformer=diffeo.Spline(4, -1, 1, "extended")),
        "extended spline of 4 bins",
    ),
    "jumping spline": (
        lambda s: s.add_elementwise(transformer=diffeo.Spline(4, -1, 1, boundary_derivative=0.8)), "elementwise",
    ),
    "half-ended spline": (
        lambda s: s.add_elementwise(transformer=diffeo.Spline(4, -1, 1, "free", half_ends=True)), "free spline",
    ),
    "inverse map": (
        lambda s: s.add_autoregressive((8,), activation="tanh", scale="clamped_exp", log_scales=(-3, 2),
            inverse_map=True), "inverse of the clamped_exp scale",
    ),
    "elementwise of some": (lambda s: s.add_elementwise(columns=[0, 2], scale="atan"), "of 2 columns"),
    "elementwise of the context": (
        lambda s: s.add_elementwise(scale="clamped_softplus", hidden=(8,), activation="tanh"), "hidden 8 tanh",
    ),
    "leaky tanh": (lambda s: s.add_domain("leaky_tanh", low=1.5), "leaky_tanh of all"),
    "leaky relu": (lambda s: s.add_domain("leaky_relu", [1], low=0.5), "leaky_relu of 1"),
    "log tanh": (lambda s: s.add_domain("log_tanh", low=1), "log_tanh of all"),
    "actnorm": (lambda s: s.add_actnorm(), "actnorm"),
    "elementwise affine": (lambda s: s.add_elementwise_affine(), "actnorm"),
    "diagonal": (lambda s: s.add_elementwise_affine(shift=False), "actnorm"),
    "batch norm": (lambda s: s.add_batch_norm(epsilon=1e-3, momentum=0.5), "batch_norm"),
    "lu": (lambda s: s.add_lu(seed=4), "matrix of 4 x 4, permuted"),
    "lu, not permuted": (lambda s: s.add_lu(permuted=False), "matrix of 4 x 4"),
    "householder": (lambda s: s.add_householder(3), "3 reflections"),
    "planar": (lambda s: s.add_planar(), "planar"),
    "planar of the context": (lambda s: s.add_planar((8,), "tanh"), "hidden 8 tanh"),
    "planar of residual blocks": (
        lambda s: s.add_planar((8,), "tanh", blocks="preactivation", normalized=True), "normalized preactivation",
    ),
    "radial": (lambda s: s.add_radial(), "radial"),
    "radial of the context": (lambda s: s.add_radial((), "tanh"), "linear"),
    "standardize": (lambda s: s.add_standardize(), "standardize"),
    "permutation": (lambda s: s.add_permutation([2, 0, 3, 1]), "permutation"),
    "logit": (lambda s: s.add_domain("logit", low=-20, high=[20, 21, 22, 23]), "logit of all"),
    "probit": (lambda s: s.add_domain("probit", [0, 2], low=-20, high=[20, 21]), "probit of 2"),
    "log": (lambda s: s.add_domain("log", [1, 3], low=[-10, -30]), "log of 2"),
    "softplus": (lambda s: s.add_domain("softplus", np.array([0]), low=-12.5), "softplus of 1"),
    "logistic to normal": (lambda s: s.add_domain("logistic_to_normal", columns=(2,)), "logistic_to_normal of 1"),
    "wrap": (lambda s: s.add_wrap(-20, 20, random_shift=True, seed=3), "[-20.0, 20.0)"),
    "wrap of columns": (
        lambda s: s.add_wrap([-20, -20], 20, columns=[0, 3], random_shift=True, seed=3), "wrap: of 2 columns",
    ),
    "dequantize": (lambda s: s.add_dequantize(7), "7 levels"),
    "dequantize without end": (lambda s: s.add_dequantize(0), "dequantize: without end"),
    "dequantize of columns": (lambda s: s.add_dequantize([0, 7], [1, 2]), "by column, of 2 columns"),
    "linear": (lambda s: s.add_linear(), "matrix of 4 x 4"),
    "squeeze": (lambda s: s.add_squeeze("diagonals"), "1 x 2 x 2 to 4 x 1 x 1, by diagonals"),
    "unsqueeze": (lambda s: s.add_unsqueeze(), "inverse squeeze"),
    "linear of images": (lambda s: s.add_linear(), "matrix of 2 x 2, of 2 x 2 x 1"),
    "image coupling": (lambda s: s.add_image_coupling((6,), activation="tanh"), "1 channel kept, 1 transformed"),
    "image coupling of residual blocks": (
        lambda s: s.add_image_coupling((6, 6), activation="tanh", blocks="preactivation", gain=True),
        "residual blocks with preactivation",
    ),
    "checkerboard": (
        lambda s: s.add_image_coupling((6,), activation="tanh", mask="odd", kernels=(1, 1, 3)), "odd places kept",
    ),
    "image coupling of the context": (
        lambda s: s.add_image_coupling((6,), activation="tanh", mask="none"), "0 channels kept",
    ),
    "spline of images": (
        lambda s: s.add_image_coupling((6,), activation="tanh", transformer=diffeo.Spline(5, -9, 9)), "5 bins",
    ),
    "split": (lambda s: s.add_split(hidden=(6,), activation="tanh"), "inverse convolutional_coupling"),
}  # fmt: skip
# Those of images, whose numbers are four, too.
SHAPES = {
    "squeeze": (1, 2, 2), "unsqueeze": (4, 1, 1), "linear of images": (2, 2, 1), "image coupling": (2, 1, 2),
    "image coupling of residual blocks": (2, 2, 1), "checkerboard": (1, 2, 2), "spline of images": (2, 1, 2),
    "image coupling of the context": (1, 2, 2), "split": (2, 1, 2),
}  # fmt: skip


def spec_of(name, **options):
    """For a layer of LAYERS."""
    event = {"shape": SHAPES[name]} if name in SHAPES else {"dim": 4}
    spec = diffeo.Spec(**event, context_dim=2, **options)
    return spec.set_base("uniform", low=-20, high=20) if name.startswith("wrap") else spec


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_layers(name, dtype):
    """There, back, gradients, samples, files."""
    add, says = LAYERS[name]
    x, context = X.astype(dtype), X[:, 1:3].astype(dtype) / 4
    spec = spec_of(name, dtype=dtype)
    assert add(spec) is spec
    if not name.startswith("wrap"):
        spec.set_base("student_t", df=3)
    flow = noisy(spec.build(seed=2), x, context)
    assert says in str(flow)
    tolerance = 1e-3 if dtype == "float32" else 1e-9
    z, log_det = flow.to_noise(x, context)
    back, log_det_back = flow.from_noise(z, context)
    np.testing.assert_allclose(back, x, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(log_det_back, -log_det, rtol=tolerance, atol=tolerance)
    if dtype == "float64":
        by_x = gradient_by_differences(lambda x: flow.log_prob(x, context), x)
        np.testing.assert_allclose(flow.grad_log_prob(x, context), by_x, rtol=1e-5, atol=1e-6)
        by_context = gradient_by_differences(lambda context: flow.log_prob(x, context), context)
        np.testing.assert_allclose(flow.grad_log_prob_context(x, context), by_context, rtol=1e-5, atol=1e-6)
        determinants = [
            np.linalg.slogdet(jacobian(flow, row, context=c))[1] for row, c in zip(x[:5], context, strict=False)
        ]
        np.testing.assert_allclose(log_det[:5], determinants, rtol=1e-6, atol=1e-6)
    again = diffeo.from_bytes(flow.to_bytes())
    np.testing.assert_array_equal(again.log_prob(x, context), flow.log_prob(x, context))
    np.testing.assert_array_equal(again.sample(5, context[0], seed=1), flow.sample(5, context[0], seed=1))


@pytest.mark.parametrize("name", LAYERS)
def test_invert_is_the_other_way_round(name):
    if "uniform" in LAYERS[name][1]:
        pytest.skip("its inverse is of numbers between 0 and 1")
    if "squeeze" in name or name == "split":
        pytest.skip("add_squeeze and add_unsqueeze are inverse to each other; a split ends with an inverse")
    add, _ = LAYERS[name]
    context = X[:, 1:3] / 4
    once, twice = (add(spec_of(name, dtype="float64")) for _ in range(2))
    straight = noisy(twice.build(), X, context)
    assert once.invert() is once
    if name in ("logit", "log", "softplus", "probit"):
        once.set_base("uniform")
    assert "inverse" in repr(once)
    assert "inverse" not in repr(twice.invert().invert())
    turned = once.build().with_parameters(straight.parameters())
    assert "inverse" in str(turned)
    z, log_det = straight.to_noise(X, context)
    back, log_det_back = turned.from_noise(X, context)
    np.testing.assert_array_equal(back, z)
    np.testing.assert_array_equal(log_det_back, log_det)
    np.testing.assert_array_equal(twice.build().with_parameters(straight.parameters()).to_noise(X, context)[0], z)


@pytest.mark.parametrize("blocks", ["residual", "preactivation"])
@pytest.mark.parametrize("context_mode", ["input", "gate", "shift", "add"])
def test_residual_networks_by_hand(blocks, context_mode):
    """A coupling with one hidden layer twice, evaluated as docs/weight-file.md says."""
    spec = diffeo.Spec(4, context_dim=2, dtype="float64")
    normalized = blocks == "preactivation"
    options = {"blocks": blocks, "context_mode": context_mode, "normalized": normalized, "activation": "tanh"}
    flow = randomised(spec.add_coupling((5, 5), mask="first", scale="additive", **options).build(seed=1))
    context = X[:, 1:3] / 4
    theta, at = flow.parameters(), 0

    def take(*shape):
        nonlocal at
        values = theta[at : at + np.prod(shape, dtype=int)].reshape(shape)
        at += values.size
        return values

    def linear(inputs, outputs):
        weight, bias = take(outputs, inputs), take(outputs)
        return lambda v: v @ weight.T + bias

    h = linear(2, 5)(X[:, :2]) if context_mode == "shift" else linear(4, 5)(np.hstack([X[:, :2], context]))
    if context_mode == "shift":
        h = h + np.tanh(linear(2, 5)(context))
    for _ in range(2):
        v = h
        if blocks == "preactivation":
            v = np.tanh(take(5) * h + take(5))
        v = linear(5, 5)(v)
        if context_mode in ("shift", "add"):
            v = v + context @ take(5, 2).T
        v = linear(5, 5)(np.tanh(v))
        if context_mode == "gate":
            v = v / (1 + np.exp(-linear(2, 5)(context)))
        h = h + v
    expected = X + np.hstack([np.zeros((len(X), 2)), linear(5, 2)(h)])
    assert at == theta.size == flow.parameter_count
    np.testing.assert_allclose(flow.to_noise(X, context)[0], expected, rtol=1e-12, atol=1e-12)


# Each makes all the networks that it has with these options.
NETWORKS = {
    "autoregressive": lambda s, **o: s.add_autoregressive((8,), **o),
    "inverse": lambda s, **o: s.add_autoregressive((8,), **o).invert(),
    "coupling": lambda s, **o: s.add_coupling((8,), scale_activation="tanh", **o),
    "elementwise": lambda s, **o: s.add_elementwise(hidden=(8,), **o),
    "planar": lambda s, **o: s.add_planar((8,), **o),
    "radial": lambda s, **o: s.add_radial((8,), **o),
    "normal": lambda s, **o: s.set_base("normal", hidden=(8,), **o),
    "made": lambda s, **o: s.set_base_made((8,), **o),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_dropout_is_of_training_only(name):
    context = X[:, 1:3] / 4

    def built(dropout):
        return NETWORKS[name](diffeo.Spec(4, context_dim=2, dtype="float64"), dropout=dropout).build(seed=2)

    plain, dropped = built(0.0), built(0.4)
    assert "dropout 0.4" in str(dropped)
    assert "dropout" not in str(plain)
    np.testing.assert_array_equal(dropped.parameters(), plain.parameters())
    np.testing.assert_array_equal(dropped.log_prob(X, context), plain.log_prob(X, context))
    np.testing.assert_array_equal(dropped.grad_log_prob(X, context), plain.grad_log_prob(X, context))
    np.testing.assert_array_equal(dropped.sample(9, context[0], seed=1), plain.sample(9, context[0], seed=1))
    again = diffeo.from_bytes(dropped.to_bytes())
    for flow in plain, dropped, again:
        noisy(flow, X, context)
    assert (dropped.parameters() != plain.parameters()).any()
    np.testing.assert_array_equal(dropped.parameters(), again.parameters())
    np.testing.assert_array_equal(dropped.log_prob(X, context), again.log_prob(X, context))


def test_files_say_dropout_where_there_is_some():
    for dropout in 0.0, 0.3:
        spec = diffeo.Spec(4).add_coupling((8,), dropout=dropout).add_actnorm()
        with h5py.File.in_memory(spec.build().to_bytes()) as f:
            assert f["layers/000"].attrs.get("dropout", 0.0) == dropout
            assert ("dropout" in f["layers/000"].attrs) == (dropout > 0)
            assert "dropout" not in f["layers/001"].attrs


def test_blocks_begin_near_the_identity():
    def built(**options):
        return diffeo.Spec(4, dtype="float64").add_autoregressive((16, 16), **options).build(seed=3)

    z, _ = built(blocks="preactivation", normalized=True).to_noise(X)
    np.testing.assert_allclose(z, X, atol=0.5)
    np.testing.assert_array_equal(built().parameters(), built(blocks="plain").parameters())


def test_nothing_to_invert():
    with pytest.raises(diffeo.errors.StateError, match="no layer"):
        diffeo.Spec(4).invert()


def test_affine_layers():
    flow = diffeo.Spec(4, dtype="float64").add_elementwise_affine().build()
    np.testing.assert_array_equal(flow.to_noise(X)[0], X)
    assert flow.parameter_count == diffeo.Spec(4).add_elementwise_affine(shift=False).build().parameter_count + 4
    np.testing.assert_array_equal(diffeo.Spec(4, dtype="float64").add_lu(permuted=False).build().to_noise(X)[0], X)
    z, log_det = diffeo.Spec(4, dtype="float64").add_lu(seed=1).build().to_noise(X)
    np.testing.assert_array_equal(np.sort(z, axis=1), np.sort(X, axis=1))
    assert (log_det == 0).all()
    z, log_det = diffeo.Spec(4, dtype="float64").add_householder(4).build(seed=2).to_noise(X)
    np.testing.assert_allclose((z**2).sum(axis=1), (X**2).sum(axis=1), rtol=1e-12)
    assert (log_det == 0).all()


def test_batch_norm_learns_mean_and_variance():
    flow = diffeo.Spec(4, dtype="float64").add_batch_norm(epsilon=1e-6, momentum=0.2).build()
    assert flow.log_prob(X).mean() < -6
    flow.fit(np.tile(X, (10, 1)), max_epochs=20, batch_size=60, lr=1e-4, validation=0, progress=False)
    z, _ = flow.to_noise(X)
    np.testing.assert_allclose(z.mean(axis=0), 0, atol=0.2)
    np.testing.assert_allclose(z.std(axis=0), 1, atol=0.2)


def test_domains():
    x = np.array([[0.25, 2.5, 0.5, -1.0]])
    low, high = [0.0, 2.0], [1.0, 6.0]
    flow = diffeo.Spec(4, dtype="float64").add_domain("logit", [0, 1], low, high).build()
    z, log_det = flow.to_noise(x)
    np.testing.assert_allclose(z, [[np.log(0.25 / 0.75), np.log(0.5 / 3.5), 0.5, -1.0]], rtol=1e-13)
    np.testing.assert_allclose(log_det, np.log(1 / (0.25 * 0.75)) + np.log(4 / (0.5 * 3.5)), rtol=1e-13)
    outside = np.array([[-0.1, 3, 0, 0], [0.5, 6, 0, 0], [0.5, 2, 0, 0], [np.nan, 3, 0, 0]])
    log_prob = flow.log_prob(outside)
    assert (log_prob[:3] == -np.inf).all()
    assert np.isnan(log_prob[3])
    samples = flow.sample(1000, seed=1)
    assert ((samples[:, :2] > low) & (samples[:, :2] < high)).all()
    flow = diffeo.Spec(2, dtype="float64").add_domain("log", low=1.5).build()
    np.testing.assert_allclose(flow.to_noise([2.5, 4.5])[0], [0, np.log(3)], atol=1e-14)
    assert flow.log_prob([1.5, 4]) == -np.inf
    flow = diffeo.Spec(2, dtype="float64").add_domain("softplus", low=[0, 1]).build()
    np.testing.assert_allclose(flow.to_noise([2.0, 41.0])[0], [np.log(np.expm1(2)), 40.0], rtol=1e-13)
    flow = diffeo.Spec(1, dtype="float64").add_domain("logistic_to_normal").set_base("standard_normal").build()
    np.testing.assert_allclose(flow.log_prob([0.7]), -0.7 - 2 * np.log1p(np.exp(-0.7)), rtol=1e-12)


def test_wrap():
    flow = diffeo.Spec(4, dtype="float64").add_wrap().set_base("uniform", low=-np.pi, high=np.pi).build()
    z, log_det = flow.to_noise(X)
    np.testing.assert_allclose(z, np.angle(np.exp(1j * X)), atol=1e-13)
    assert (log_det == 0).all()
    np.testing.assert_allclose(flow.log_prob(X), -4 * np.log(2 * np.pi))
    turned = diffeo.Spec(4).add_wrap(random_shift=True, seed=1).set_base("uniform", low=-3, high=3).build().parameters()
    assert len(set(turned)) == 4


def test_wraps_of_columns_are_those_of_the_whole():
    low, high = np.array([-1.0, 0.5]), np.array([2.0, 3.0])
    flow = diffeo.Spec(4, dtype="float64").add_wrap(low, high, [1, 3]).set_base("uniform", low=-40, high=40)
    with pytest.raises(ValueError, match="column 1, "):
        flow.build()
    some = diffeo.Spec(4, dtype="float64").add_wrap(low, high, [1, 3])
    some.add_domain("logit", [1, 3], low, high)
    z, _ = some.build().to_noise(X)
    np.testing.assert_array_equal(z[:, [0, 2]], X[:, [0, 2]])
    for i, column in enumerate((1, 3)):
        one = diffeo.Spec(1, dtype="float64").add_wrap(low[i], high[i]).add_domain("logit", None, low[i], high[i])
        np.testing.assert_array_equal(z[:, [column]], one.build().to_noise(X[:, [column]])[0])
    shifts = (
        diffeo.Spec(4).add_wrap(low, high, [1, 3], random_shift=True, seed=1).add_domain("logit", [1, 3], low, high)
    )
    p = shifts.build().parameters()
    assert p[:4].tolist() == [*low, *high]
    assert (p[4:6] > 0).all()
    assert (p[4:6] < high - low).all()
    assert shifts.build().trained_parameters()[:6].tolist() == [False] * 4 + [True] * 2


def test_dequantisation_of_columns():
    spec = diffeo.Spec(4, dtype="float64").add_dequantize([0, 5], [1, 3])
    flow = spec.build()
    assert flow.levels == (None, 0, None, 5)
    z, log_det = flow.to_noise(X)
    np.testing.assert_array_equal(z, X / [1, 1, 1, 5])
    np.testing.assert_allclose(log_det, -np.log(5))
    whole = diffeo.Spec(2).add_dequantize(5).add_domain("logit", low=0, high=1)
    assert whole.build().levels == (5, 5)
    # What another layer takes first is no count; what takes other columns does not matter.
    other = diffeo.Spec(3).add_domain("log", [0], 0).add_dequantize([4, 0], [0, 2]).add_actnorm().add_dequantize(6)
    assert other.build().levels == (None, None, 0)
    assert diffeo.Spec(3).add_dequantize(4).invert().build().levels == (None,) * 3
    assert diffeo.from_bytes(flow.to_bytes()).levels == flow.levels


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_training_on_counts_beside_other_columns(dtype):
    """Of each cell the whole is trained, to its ends, and in each epoch another place."""
    rng = np.random.default_rng(4)
    n = 4000
    x = np.stack([rng.normal(size=n), rng.integers(3, size=n)], axis=1)
    x[:, 0] += 2 * x[:, 1]
    spline = diffeo.Spline(bins=12, low=0.0, high=1.0, boundary="interval", min_width=1e-4, min_derivative=1e-4)
    spec = diffeo.Spec(2, dtype=dtype).add_dequantize(3, [1]).add_domain("logistic_to_normal", [0]).invert()
    spec.add_domain("logit", [0], 0, 1).invert().add_autoregressive((32,), transformer=spline).set_base("uniform")
    flow = spec.build(seed=1)
    flow.fit(x, max_epochs=10, batch_size=100, lr=5e-3, progress=False)
    places = flow.sample(20000, seed=1)[:, 1] % 1
    assert abs(np.sort(places) - (np.arange(20000) + 0.5) / 20000).max() < 0.06
    for value in (-1, 3, 0.5):
        wrong = x.copy()
        wrong[7, 1] = value
        with pytest.raises(diffeo.errors.NumericError, match=r"row 7 of x has .* in column 1.*integers 0 to 2"):
            flow.fit(wrong, max_epochs=1, progress=False)
    endless = diffeo.Spec(2, dtype=dtype).add_dequantize(0, [1]).add_domain("softplus", [1], 0).build()
    endless.fit(x, max_epochs=1, progress=False)
    x[7, 1] = 2.5
    with pytest.raises(diffeo.errors.NumericError, match=r"row 7 of x has 2.5 in column 1.*integers from 0 on"):
        endless.fit(x, max_epochs=1, progress=False)


def test_bits_of_counts_beside_other_columns():
    spec = diffeo.Spec(2, dtype="float64").add_dequantize(0, [1]).add_domain("softplus", [1], 0)
    flow = spec.add_autoregressive((8,)).build(seed=2)
    x = np.stack([np.linspace(-1, 1, 5), np.arange(5.0)], axis=1)
    bits = flow.bits_per_dim(x, draws=4000)
    log_p, _ = flow.log_probability(x)
    assert (bits > -log_p / (2 * np.log(2)) - 0.02).all()
    places = np.repeat(x, 1000, axis=0)
    places[:, 1] += np.tile((np.arange(1000) + 0.5) / 1000, 5)
    mean = flow.log_prob(places).reshape(5, 1000).mean(axis=1)
    np.testing.assert_allclose(bits, -mean / (2 * np.log(2)), atol=0.05)
    with pytest.raises(ValueError, match=r"x is 1.5 in row 0, column 1: .*integers from 0 on"):
        flow.bits_per_dim([[0.0, 1.5]])


def test_training_on_integers():
    """Counts with a known entropy: the flow's bits a dimension come near it, and not below."""
    rng = np.random.default_rng(4)
    p = np.array([0.4, 0.3, 0.2, 0.1])
    counts = rng.choice(4, size=(4000, 2), p=p)
    # The layers work on the line: from the unit interval, each of whose quarters is a number.
    spec = diffeo.Spec(2, dtype="float64").add_dequantize(4)
    spline = diffeo.Spline(bins=8, low=0.0, high=1.0, boundary="interval", min_width=1e-4, min_derivative=1e-4)
    spec.add_autoregressive((32,), transformer=spline).set_base("uniform")
    flow = spec.build(seed=1)
    middle = counts + 0.5
    np.testing.assert_allclose(-flow.log_prob(middle) / (2 * np.log(2)), 2.0, atol=0.2)  # at first uniform: 2 bits
    flow.fit(counts, max_epochs=30, batch_size=200, lr=5e-3, progress=False)
    noise = counts + rng.uniform(size=counts.shape)
    bits = -flow.log_prob(noise).mean() / (2 * np.log(2))
    entropy = -(p * np.log2(p)).sum()
    assert entropy - 0.03 < bits < entropy + 0.05
    frequencies = np.bincount(np.floor(flow.sample(4000, seed=2)).astype(int).ravel(), minlength=4) / 8000
    np.testing.assert_allclose(frequencies, p, atol=0.05)


def test_interval_spline_over_a_uniform_base():
    rng = np.random.default_rng(9)
    x = np.stack([rng.beta(2, 5, 3000), rng.beta(4, 2, 3000)], axis=1) * 2 - 1
    interval = diffeo.Spline(bins=10, low=-1, high=1, boundary="interval")
    spec = diffeo.Spec(2, dtype="float64").add_autoregressive((16,), transformer=interval)
    flow = spec.set_base("uniform", low=-1, high=1).build(seed=1)
    flow.fit(x, max_epochs=20, batch_size=100, lr=5e-3, progress=False)
    axis = (np.arange(300) + 0.5) / 150 - 1
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    assert np.exp(flow.log_prob(grid)).mean() * 4 == pytest.approx(1, abs=1e-3)
    assert flow.log_prob(x).mean() > -2 * np.log(2) + 0.6
    assert (flow.log_prob([[1.001, 0.0], [0.0, -1.001]]) == -np.inf).all()
    assert (np.abs(flow.sample(2000, seed=1)) <= 1).all()


LOG_2PI = np.log(2 * np.pi)


def student_t(z, df):
    from math import lgamma

    constant = lgamma((df + 1) / 2) - lgamma(df / 2) - 0.5 * np.log(df * np.pi)
    return constant - (df + 1) / 2 * np.log1p(z**2 / df)


def beta(z, alpha, beta, low, high):
    from math import lgamma

    inside = (z > low) & (z < high)
    u = np.where(inside, (z - low) / (high - low), 0.5)
    constant = lgamma(alpha + beta) - lgamma(alpha) - lgamma(beta) - np.log(high - low)
    return np.where(inside, (alpha - 1) * np.log(u) + (beta - 1) * np.log(1 - u) + constant, -np.inf)


# Bases, their options, and the log-density of a column.
BASES = [
    ("standard_normal", {}, lambda z: -0.5 * (z**2 + LOG_2PI)),
    ("normal", {}, lambda z: -0.5 * (z**2 + LOG_2PI)),
    ("logistic", {}, lambda z: -z - 2 * np.log1p(np.exp(-z))),
    ("uniform", {"low": -2.5, "high": 4.0}, lambda z: np.where((z >= -2.5) & (z <= 4.0), -np.log(6.5), -np.inf)),
    ("student_t", {}, lambda z: student_t(z, 5)),
    ("student_t", {"df": 2.5}, lambda z: student_t(z, 2.5)),
    ("beta", {"alpha": 2, "beta": 1.5, "low": -40, "high": 50}, lambda z: beta(z, 2, 1.5, -40, 50)),
    ("beta", {"low": -40, "high": 40}, lambda z: beta(z, 13, 13, -40, 40)),
]
TRAINED_BASES = ["normal", "student_t", "mixture"]


@pytest.mark.parametrize(("base", "options", "density"), BASES)
def test_bases(base, options, density):
    spec = diffeo.Spec(4, dtype="float64")
    assert spec.set_base("logistic").set_base(base, **options) is spec  # the last one counts
    assert repr(spec).endswith("'float64')" if base == "standard_normal" else f": base {base}")
    flow = spec.build()
    np.testing.assert_allclose(flow.log_prob(X), density(X).sum(axis=1), rtol=1e-12)
    samples, log_prob = flow.sample_and_log_prob(20000, seed=1)
    np.testing.assert_allclose(log_prob, density(samples).sum(axis=1), rtol=1e-10)
    assert f"base  {base}" in str(flow)


@pytest.mark.parametrize("base", TRAINED_BASES)
@pytest.mark.parametrize("hidden", [None, (), (8,)])
def test_bases_that_are_trained(base, hidden):
    rng = np.random.default_rng(6)
    context = rng.normal(size=(2000, 2))
    x = context[:, :1] + rng.standard_t(3, (2000, 2)) * np.exp(0.3 * context[:, 1:])
    spec = diffeo.Spec(2, context_dim=2, dtype="float64").set_base(base, hidden=hidden, activation="tanh")
    flow = spec.build(seed=1)
    before = flow.log_prob(x, context).mean()
    flow.fit(x, context, max_epochs=10, batch_size=100, lr=1e-2, progress=False)
    assert flow.log_prob(x, context).mean() > before + 0.01
    by_x = gradient_by_differences(lambda x: flow.log_prob(x, context), x)
    np.testing.assert_allclose(flow.grad_log_prob(x, context), by_x, rtol=1e-5, atol=1e-6)
    again = diffeo.from_bytes(flow.to_bytes())
    np.testing.assert_array_equal(again.sample(9, context[0], seed=1), flow.sample(9, context[0], seed=1))
    (first,) = {tuple(flow.grad_log_prob_context(x, context)[0] != 0)}
    assert first == ((False, False) if hidden is None else (True, True))


def test_a_mixture_has_its_components():
    flow = diffeo.Spec(2, dtype="float64").set_base("mixture", components=3).build(seed=1)
    assert "3 components" in str(flow)
    assert flow.parameter_count == 3 + 2 * 3 * 2
    logits, means, log_scales = np.split(flow.parameters(), [3, 9])
    parts = -0.5 * ((X[:, None, :2] - means.reshape(3, 2)) ** 2 + LOG_2PI).sum(axis=2)
    assert (logits == 0).all()
    assert (log_scales == 0).all()
    np.testing.assert_allclose(flow.log_prob(X[:, :2]), np.log(np.exp(parts).mean(axis=1)), rtol=1e-10)


@pytest.mark.parametrize("covariance", ["full", "precision"])
@pytest.mark.parametrize("hidden", [None, (8,)])
def test_mixtures_with_full_covariances(covariance, hidden):
    """They learn what no diagonal has; densities and samples are those of the factors."""
    rng = np.random.default_rng(3)
    factor = np.array([[1, 0, 0], [0.9, 0.3, 0], [-0.5, 0.4, 0.2]])
    x = rng.normal(size=(2000, 3)) @ factor.T + 1
    context = rng.normal(size=(2000, 1))
    given = {"covariance": covariance, "diagonal": "softplus", "epsilon": 1e-3, "hidden": hidden}
    flow = diffeo.Spec(3, context_dim=1, dtype="float64").set_base("mixture", components=2, **given).build(seed=1)
    assert "2 components, full covariances" in str(flow)
    flow.fit(x, context, max_epochs=200, batch_size=200, lr=2e-2, progress=False)
    exact = -0.5 * (np.linalg.solve(factor, (x - 1).T) ** 2 + LOG_2PI).sum(axis=0) - np.log(np.diag(factor)).sum()
    assert flow.log_prob(x, context).mean() > exact.mean() - 0.1
    by_x = gradient_by_differences(lambda x: flow.log_prob(x, context[:50]), x[:50])
    np.testing.assert_allclose(flow.grad_log_prob(x[:50], context[:50]), by_x, rtol=1e-5, atol=1e-5)
    samples = flow.sample(20000, np.zeros(1), seed=2)
    np.testing.assert_allclose(np.cov(samples.T), factor @ factor.T, atol=0.1)
    again = diffeo.from_bytes(flow.to_bytes())
    np.testing.assert_array_equal(again.sample(9, context[0], seed=1), flow.sample(9, context[0], seed=1))


@pytest.mark.parametrize("spline", [diffeo.Spline, diffeo.LinearSpline])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_splines_without_minima(spline, dtype):
    """Softmax and softplus underflow: densities stay finite, in both directions, and so do gradients."""
    none = spline(5, -3, 3, min_width=0, min_height=0, min_derivative=0)
    flow = diffeo.Spec(3, dtype=dtype).add_elementwise(transformer=none).build()
    rng = np.random.default_rng(1)
    x = np.concatenate([rng.uniform(-3, 3, (500, 3)), [[-3, 0, 3]]]).astype(dtype)
    for size in (1, 30, 1000):
        steep = flow.with_parameters(size * rng.normal(size=flow.parameter_count))
        assert np.isfinite(steep.log_prob(x)).all()
        z, log_det = steep.to_noise(x)
        back, log_det_back = steep.from_noise(x)
        assert np.isfinite([log_det, log_det_back]).all()
        assert np.isfinite(z).all()
        assert np.isfinite(back).all()
        if size == 1:
            np.testing.assert_allclose(steep.from_noise(z)[0], x, atol=1e-3 if dtype == "float32" else 1e-12)


def test_probit_is_exact_in_both_tails():
    from statistics import NormalDist

    flow = diffeo.Spec(1, dtype="float64").add_domain("probit", low=0, high=1).build()
    x = np.array([[1e-300], [1e-20], [0.01], [0.4], [0.5], [0.7], [0.999]])
    z, log_det = flow.to_noise(x)
    np.testing.assert_allclose(z[2:, 0], [NormalDist().inv_cdf(each) for each in x[2:, 0]], rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(z[:2, 0], [-37.0470962993612, -9.262340089798409], rtol=1e-13)  # scipy's ndtri
    np.testing.assert_allclose(log_det, 0.5 * (z[:, 0] ** 2 + LOG_2PI), rtol=1e-12)
    np.testing.assert_allclose(flow.from_noise(z)[0], x, rtol=1e-11)
    wide = diffeo.Spec(1, dtype="float64").add_domain("probit", low=-2, high=6).build()
    np.testing.assert_allclose(wide.log_prob([[-1.0], [5.9]]), -np.log(8), rtol=1e-13)  # uniform
    assert wide.log_prob([[-2.0], [6.5]]).tolist() == [-np.inf, -np.inf]


def test_maps_are_frozen_and_compare():
    assert diffeo.Spline() == diffeo.Spline(8, -4.0, 4.0, "linear", 1e-3, 1e-3, 1e-3)
    assert diffeo.Mixture(components=3) != diffeo.Mixture()
    assert "bins=5" in repr(diffeo.Spline(bins=5))
    for thing, field in (diffeo.Spline(), "bins"), (diffeo.Mixture(), "components"):
        with pytest.raises(AttributeError):
            setattr(thing, field, 3)


def test_maps_have_the_defaults_of_the_library():
    for ours, options in (
        (diffeo.Spline(), _abi.defaults(_abi.SplineOptions, lib.diffeo_spline_options_init)),
        (diffeo.LinearSpline(), _abi.defaults(_abi.SplineOptions, lib.diffeo_spline_options_init)),
        (diffeo.Mixture(), _abi.defaults(_abi.MixtureOptions, lib.diffeo_mixture_options_init)),
    ):
        tables = {
            "boundary": _abi.BOUNDARIES, "derivative": _abi.DERIVATIVES, "encoding": _abi.ENCODINGS,
            "family": _abi.FAMILIES, "target": _abi.TARGETS, "scale": _abi.SCALES,
        }  # fmt: skip
        for name, value in vars(ours).items():
            assert getattr(options, name) == (tables[name][value] if name in tables else value), name


@pytest.mark.parametrize(
    ("mask", "unchanged"),
    [
        ("even", [0, 2]),
        ("odd", [1, 3]),
        ("first", [0, 1]),
        ("last", [2, 3]),
        ([True, False, False, True], [0, 3]),
        (np.array([0, 1, 1, 1]), [1, 2, 3]),
    ],
)
def test_masks(mask, unchanged):
    flow = randomised(diffeo.Spec(4, dtype="float64").add_coupling((8,), mask=mask).build())
    z, _ = flow.to_noise(X)
    same = [j for j in range(4) if (z[:, j] == X[:, j]).all()]
    assert same == unchanged


def gated():
    """Whether this version has the scale yet."""
    try:
        return diffeo.Spec(2).add_autoregressive(scale="gated") is not None
    except ValueError:
        return False


def test_scales_and_their_options():
    for scale in _abi.SCALES:
        if scale == "gated" and not gated():
            continue
        flow = diffeo.Spec(4, dtype="float64").add_autoregressive((8,), scale=scale).build()
        assert np.isfinite(flow.log_prob(X)).all()
    spec = diffeo.Spec(4, dtype="float64").add_coupling((8,), scale="tanh", scale_bound=0.01)
    _, log_det = randomised(spec.build()).to_noise(X)
    assert (np.abs(log_det) <= 0.02 + 1e-12).all()


def test_activations():
    for activation in _abi.ACTIVATIONS:
        flow = (
            diffeo.Spec(4).add_autoregressive((8,), activation=activation).add_coupling(activation=activation).build()
        )
        assert np.isfinite(flow.log_prob(X)).all()


def test_what_does_not_fit():
    spec = diffeo.Spec(4)
    for call in (
        lambda: spec.add_permutation([0, 1, 2]),
        lambda: spec.add_permutation([0, 1, 2, 2]),
        lambda: spec.add_permutation([0, 1, 2, -1]),
        lambda: spec.add_autoregressive(order=[0, 1, 2]),
        lambda: spec.add_autoregressive(order=[0, 1, 2, 2]),
        lambda: spec.add_autoregressive(order="given"),
        lambda: spec.add_autoregressive(degrees="none"),
        lambda: spec.add_coupling(mask=[True, False]),
        lambda: spec.add_coupling(mask="none"),
        lambda: spec.add_standardize(mean=[1.0, 2.0, 3.0, 4.0]),
        lambda: spec.add_standardize(mean=[1.0, 2.0], std=[1.0, 2.0]),
        lambda: spec.add_standardize(mean=[1.0] * 4, std=[1.0, 1.0, 0.0, 1.0]),
        lambda: spec.standardize_context(),
        lambda: spec.add_autoregressive(transformer=diffeo.Spline(bins=1)),
        lambda: spec.add_autoregressive(transformer=diffeo.Spline(bins=65)),
        lambda: spec.add_autoregressive(transformer=diffeo.Spline(low=1, high=1)),
        lambda: spec.add_autoregressive(transformer=diffeo.Spline(low=np.nan)),
        lambda: spec.add_autoregressive(transformer=diffeo.Spline(boundary="none")),
        lambda: spec.add_coupling(transformer=diffeo.Spline(min_width=0.125)),
        lambda: spec.add_coupling(transformer=diffeo.Spline(min_derivative=-1e-9)),
        lambda: spec.add_coupling(transformer=diffeo.Spline(min_width=-1e-9)),
        lambda: spec.add_coupling(transformer=diffeo.LinearSpline(min_height=-1e-9)),
        lambda: spec.add_coupling(transformer=diffeo.LinearSpline(min_lambda=0.5)),
        lambda: spec.set_base("beta", alpha=0),
        lambda: spec.set_base("mixture", epsilon=-1e-9),
        lambda: spec.add_coupling(transformer=diffeo.Mixture(components=65)),
        lambda: spec.add_coupling(transformer=diffeo.Mixture(family="none")),
        lambda: spec.add_coupling(transformer=diffeo.Mixture(target="none")),
        lambda: spec.add_coupling(transformer=diffeo.Mixture(scale_bound=np.inf)),
        lambda: spec.add_coupling(transformer="none"),
        lambda: spec.add_coupling(transformer="sinh_arcsinh", scale_bound=81),
        lambda: spec.add_lu(seed=-1),
        lambda: spec.add_householder(0),
        lambda: spec.add_householder(2**62),
        lambda: spec.add_batch_norm(epsilon=0),
        lambda: spec.add_batch_norm(momentum=1.5),
        lambda: spec.add_batch_norm(epsilon=np.nan),
        lambda: spec.add_planar(hidden=(8,)),
        lambda: spec.add_radial(hidden=()),
        lambda: spec.add_domain("none"),
        lambda: spec.add_domain("logit"),
        lambda: spec.add_domain("logit", low=0),
        lambda: spec.add_domain("log"),
        lambda: spec.add_domain("logit", low=1, high=1),
        lambda: spec.add_domain("logit", low=0, high=[1, 2, np.nan, 4]),
        lambda: spec.add_domain("logit", low=[0, 0], high=1),
        lambda: spec.add_domain("log", [1, 0], low=0),
        lambda: spec.add_domain("log", [1, 1], low=0),
        lambda: spec.add_domain("log", [4], low=0),
        lambda: spec.add_domain("log", [-1], low=0),
        lambda: spec.add_domain("log", [], low=0),
        lambda: spec.add_wrap(1, 1),
        lambda: spec.add_wrap(high=np.inf),
        lambda: spec.add_dequantize(1),
        lambda: spec.add_dequantize(2**24 + 1),
        lambda: spec.set_base("none"),
        lambda: spec.set_base("uniform", low=1, high=0),
        lambda: spec.set_base("student_t", df=0),
        lambda: spec.set_base("mixture", components=0),
        lambda: spec.set_base("mixture", components=1025),
        lambda: spec.set_base("normal", hidden=(8,)),
        lambda: spec.add_coupling(dropout=1),
        lambda: spec.add_autoregressive(dropout=-0.1),
        lambda: spec.set_base_made(dropout=np.nan),
        lambda: spec.add_coupling(blocks="dense"),
        lambda: spec.add_coupling((), blocks="residual"),
        lambda: spec.add_coupling(blocks="residual", normalized=True),
        lambda: spec.add_coupling(blocks="residual", context_mode="gate"),  # there is no context
        lambda: spec.add_autoregressive(context_mode="shift"),
        lambda: spec.set_base_made(blocks="preactivation", context_mode="gate"),
        lambda: diffeo.Spec(4, dtype="int8"),
        lambda: diffeo.Spec(0),
    ):
        with pytest.raises(ValueError):
            call()
    for call in (
        lambda: spec.add_householder(1.5),
        lambda: spec.add_dequantize("two"),
        lambda: spec.add_batch_norm(epsilon="small"),
        lambda: spec.add_wrap("low"),
        lambda: spec.add_coupling(dropout="some"),
        lambda: spec.add_autoregressive(transformer=diffeo.Spline(bins=2.5)),
        lambda: spec.add_autoregressive(transformer=diffeo.Spline(low="low")),
        lambda: spec.add_domain("log", [0.5], low=0),
        lambda: spec.set_base("student_t", df="few"),
    ):
        with pytest.raises(TypeError):
            call()
    assert repr(spec) == "Spec(dim=4, context_dim=0, dtype='float32')"
    assert spec.build().layer_count == 0


def test_defaults_are_those_of_the_library():
    """Keyword defaults of the binding against the *_options_init functions."""
    for function, options in (
        (diffeo.Spec.add_autoregressive, _abi.AutoregressiveOptions),
        (diffeo.Spec.add_coupling, _abi.CouplingOptions),
        (diffeo.Spec.set_base_made, _abi.MadeOptions),
        (diffeo.maf, _abi.ArchitectureOptions),
        (diffeo.iaf, _abi.ArchitectureOptions),
        (diffeo.realnvp, _abi.ArchitectureOptions),
        (diffeo.spline_coupling, _abi.ArchitectureOptions),
    ):
        skipped = {"hidden", "transforms", "dim", "scale_bound", "scale_epsilon", "scale_activation", "bound"}
        if options is _abi.ArchitectureOptions:
            skipped |= {"scale", "base", "embedding"}  # there 0 and NULL: the flow's own, none
        compare_defaults(function, [options, _abi.NetworkOptions, _abi.MapOptions], skipped)
    of_coupling = [_abi.ImageCouplingOptions, _abi.ConvolutionOptions, _abi.MapOptions]
    skipped = {"hidden", "mask", "scale_bound", "scale_epsilon"}
    compare_defaults(diffeo.Spec.add_image_coupling, of_coupling, skipped)
    for maker in diffeo.glow_image, diffeo.realnvp_image:
        skipped = {"hidden", "scale", "levels", "steps"}  # 0 and NULL: the flow's own
        compare_defaults(maker, [_abi.ImageOptions], skipped)
    coupling, split = defaults_of(_abi.ImageCouplingOptions), defaults_of(_abi.SplitOptions)
    assert coupling.mask == split.keep == _abi.IMAGE_MASKS["first"]
    assert split.prior == 1
    compare_defaults(
        diffeo.Flow.fit,
        [_abi.TrainOptions],
        {"threads", "negative_weights"},
        {"lr": "learning_rate", "validation": "validation_fraction"},
    )
    options = defaults_of(_abi.MapOptions)
    assert options.scale_bound == 3.0
    assert options.scale_epsilon == 1e-3


def defaults_of(kind):
    (name,) = [name for name, each in _abi.STRUCTS.items() if each is kind]
    return _abi.defaults(kind, getattr(lib, f"{name}_init"))


def compare_defaults(function, kinds, skipped, renamed=None):
    """With the first of the structs that has a field of the name."""
    tables = {
        "activation": _abi.ACTIVATIONS,
        "scale": _abi.SCALES,
        "order": _abi.ORDERS,
        "degrees": _abi.DEGREES,
        "mask": _abi.MASKS,
        "blocks": _abi.BLOCKS,
        "context_mode": _abi.CONTEXT_MODES,
        "dtype": _abi.DTYPES,
        "schedule": _abi.SCHEDULES,
        "optimizer": _abi.OPTIMIZERS,
        "judge": _abi.JUDGES,
        "conditional": _abi.CONDITIONALS,
    }
    structs = [defaults_of(kind) for kind in kinds]
    for options in structs:
        assert not any(getattr(options, name, None) for name in ("network", "hidden", "hidden_count"))
    compared = 0
    for name, parameter in inspect.signature(function).parameters.items():
        field = (renamed or {}).get(name, name)
        options = next((each for each in structs if hasattr(each, field)), None)
        if name in skipped or options is None:
            continue
        default = tables[name][parameter.default] if name in tables else parameter.default
        assert getattr(options, field) == default, name
        compared += 1
    assert compared >= 4


SPLINES = "spline_coupling", "spline_autoregressive"


def test_default_architectures_are_those_of_the_library():
    """None of hidden and transforms means the defaults written in the signatures."""
    for name in "nice", "realnvp", "glow", "maf", "iaf", "planar", "radial", "cdf_flow", *SPLINES:
        options = _abi.defaults(_abi.ArchitectureOptions, lib.diffeo_architecture_options_init)
        options.dim = 3
        if name in ("planar", "radial"):
            options.context_dim = 0  # their networks are smaller, and there are none
        theirs = diffeo.Flow(_abi.create(_abi.Flow, getattr(lib, f"diffeo_{name}_create"), options))
        assert str(theirs) == str(getattr(diffeo, name)(dim=3))


def test_every_kind_is_tested_here():
    """Those that the format has; a test of the core demands a row there for every kind."""
    page = (Path(__file__).parents[3] / "docs/weight-file.md").read_text()
    table = page.split("## Components")[1].split("\n\n## ")[0]
    layers = set(re.findall(r"^\| `(\w+)` (?:\(layer, context\) )?\|", table.split("| Kind | z |")[0], re.MULTILINE))
    bases = set(re.findall(r"^\| `(\w+)` \(base\) \|", table, re.MULTILINE))
    assert {"coupling", "actnorm"} <= layers
    assert {"normal", "made"} <= bases
    tested = set()
    for name, (add, _) in LAYERS.items():
        with h5py.File.in_memory(add(spec_of(name)).build().to_bytes()) as f:
            tested |= {layer.attrs["kind"].decode() for layer in f["layers"].values()}
    assert tested == layers
    # set_base_made has tests of its own.
    assert bases - {"made"} == {base for base, _, _ in BASES} | set(TRAINED_BASES)


RANDOM = {
    "mask": lambda spec, **seed: spec.add_coupling((4,), mask="random", **seed),
    "order": lambda spec, **seed: spec.add_autoregressive((4,), order="random", **seed),
    "permutation": lambda spec, **seed: spec.add_random_permutation(**seed),
    "lu": lambda spec, **seed: spec.add_lu(**seed),
    "wrap": lambda spec, **seed: spec.add_wrap(random_shift=True, **seed),
    "inverse": lambda spec, **seed: spec.add_random_permutation(**seed).invert(),
}


@pytest.mark.parametrize("name", RANDOM)
def test_random_layers_differ(name):
    """In a flow of several; and the same spec and seed are the same flow."""

    def spec(count, **seed):
        made = diffeo.Spec(16, dtype="float64").set_base("uniform", low=-3, high=3)
        for _ in range(count):
            RANDOM[name](made, **seed)
        return made

    def parts(flow):
        with h5py.File(io.BytesIO(flow.to_bytes())) as file:
            layers = [file[f"layers/{i:03}"] for i in range(flow.layer_count)]
            choices = ("mask", "order", "permutation", "shift")
            return [{name: layer[name][()].tolist() for name in choices if name in layer} for layer in layers]

    a, again, other = parts(spec(3).build(5)), parts(spec(3).build(5)), parts(spec(3).build(6))
    assert all(a)
    assert a == again
    assert len({str(part) for part in a}) == 3
    assert all(mine != theirs for mine, theirs in zip(a, other, strict=True))
    given = parts(spec(2, seed=7).build(5))
    assert given[0] == given[1]
    assert given == parts(spec(2, seed=7).build(6))
