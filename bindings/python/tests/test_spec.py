"""Flows layer by layer."""

import inspect

import numpy as np
import pytest

import diffeo
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


def jacobian(flow, x, step=1e-6):
    rows = [(flow.to_noise(x + step * e)[0] - flow.to_noise(x - step * e)[0]) / (2 * step) for e in np.eye(len(x))]
    return np.array(rows).T


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


def test_inverse_is_the_other_way_round():
    forward = randomised(diffeo.Spec(4, dtype="float64").add_autoregressive((8,)).build())
    backward = diffeo.Spec(4, dtype="float64").add_autoregressive((8,), inverse=True).build()
    backward = backward.with_parameters(forward.parameters())
    np.testing.assert_allclose(backward.from_noise(X)[0], forward.to_noise(X)[0], rtol=1e-9, atol=1e-9)


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


def test_scales_and_their_options():
    for scale in _abi.SCALES:
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
        lambda: diffeo.Spec(4, dtype="int8"),
        lambda: diffeo.Spec(0),
    ):
        with pytest.raises(ValueError):
            call()
    assert repr(spec) == "Spec(dim=4, context_dim=0, dtype='float32')"


def test_defaults_are_those_of_the_library():
    """Keyword defaults of the binding against the *_options_init functions."""
    for function, options in (
        (
            diffeo.Spec.add_autoregressive,
            _abi.defaults(_abi.AutoregressiveOptions, lib.diffeo_autoregressive_options_init),
        ),
        (diffeo.Spec.add_coupling, _abi.defaults(_abi.CouplingOptions, lib.diffeo_coupling_options_init)),
        (diffeo.maf, _abi.defaults(_abi.ArchitectureOptions, lib.diffeo_architecture_options_init)),
        (diffeo.iaf, _abi.defaults(_abi.ArchitectureOptions, lib.diffeo_architecture_options_init)),
        (diffeo.realnvp, _abi.defaults(_abi.ArchitectureOptions, lib.diffeo_architecture_options_init)),
    ):
        compare_defaults(function, options, {"hidden", "transforms", "dim", "scale_bound", "scale_epsilon"})
        assert (options.hidden_count, bool(options.hidden)) == (0, False)
    options = _abi.defaults(_abi.TrainOptions, lib.diffeo_train_options_init)
    compare_defaults(
        diffeo.Flow.fit, options, {"threads"}, {"lr": "learning_rate", "validation": "validation_fraction"}
    )
    options = _abi.defaults(_abi.AutoregressiveOptions, lib.diffeo_autoregressive_options_init)
    assert options.scale_bound == 3.0
    assert options.scale_epsilon == 1e-3


def compare_defaults(function, options, skipped, renamed=None):
    tables = {
        "activation": _abi.ACTIVATIONS,
        "scale": _abi.SCALES,
        "order": _abi.ORDERS,
        "degrees": _abi.DEGREES,
        "mask": _abi.MASKS,
        "dtype": _abi.DTYPES,
        "schedule": _abi.SCHEDULES,
    }
    compared = 0
    for name, parameter in inspect.signature(function).parameters.items():
        field = (renamed or {}).get(name, name)
        if name in skipped or not hasattr(options, field):
            continue
        default = tables[name][parameter.default] if name in tables else parameter.default
        assert getattr(options, field) == default, name
        compared += 1
    assert compared >= 4


def test_default_architectures_are_those_of_the_library():
    """None of hidden and transforms means the defaults written in the signatures."""
    for name in "maf", "iaf", "realnvp":
        options = _abi.defaults(_abi.ArchitectureOptions, lib.diffeo_architecture_options_init)
        options.dim = 3
        theirs = diffeo.Flow(_abi.create(_abi.Flow, getattr(lib, f"diffeo_{name}_create"), options))
        assert str(theirs) == str(getattr(diffeo, name)(dim=3))
