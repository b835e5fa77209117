"""Conversion without the libraries: the file it writes, masks, recognised functions, refusals.

With the libraries: Tests/exchange.
"""

import subprocess
import sys
from dataclasses import replace

import diffeo
import numpy as np
import pytest
from diffeo.exchange import ConversionError, _layers, _probe
from diffeo.exchange._check import Source, Step, convert, reverse
from diffeo.exchange._layers import Layer
from diffeo.exchange._network import Block, Dense, Network
from diffeo.exchange._report import small_scales


def random_dense(rng, outputs, inputs, mask=None):
    return Dense.of(rng.normal(size=(outputs, inputs)), rng.normal(size=outputs), mask)


def run(layers, dim, x, base="standard_normal"):
    return _layers.flow(layers, Layer(base), dim).to_noise(x)


def test_linear_layers():
    rng = np.random.default_rng(0)
    matrix, bias, x = rng.normal(size=(5, 5)), rng.normal(size=5), rng.normal(size=(20, 5))
    z, log_det = run([_layers.linear(matrix, bias)], 5, x)
    np.testing.assert_allclose(z, x @ matrix.T + bias, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(log_det, np.linalg.slogdet(matrix)[1])
    back, _ = run([_layers.linear(matrix, bias).inverted()], 5, z)
    np.testing.assert_allclose(back, x, rtol=1e-9, atol=1e-9)
    with pytest.raises(ValueError, match="singular"):
        _layers.linear(np.zeros((2, 2)))


@pytest.mark.parametrize("seed", range(20))
def test_any_graph_becomes_degrees(seed):
    """Masks that no degrees express: what a unit sees is a random set of columns."""
    rng = np.random.default_rng(seed)
    dim = int(rng.integers(1, 7))
    names = rng.permutation(dim)  # a hidden order
    earlier = names[None, :] < names[:, None]
    units = [rng.random((6, dim)) < 0.5]
    units.append((rng.random((7, 6)) < 0.5) @ units[0])
    first = units[0]
    second = np.array([[not (a & ~b).any() for a in units[0]] for b in units[1]]) & (rng.random((7, 6)) < 0.7)
    last = np.array([[not (unit & ~allowed).any() for unit in units[1]] for allowed in earlier])
    masks = first, second, np.repeat(last, 2, axis=0)
    network = Network(tuple(random_dense(rng, *mask.shape, mask) for mask in masks), "tanh")
    layer = _layers.autoregressive(dim, _layers.affine("exp"), network)
    x = rng.normal(size=(10, dim))
    h = x
    for i, dense in enumerate(network.dense):
        h = h @ dense.weight.T + dense.bias
        h = np.tanh(h) if i < 2 else h
    a, t = h.reshape(10, dim, 2).transpose(2, 0, 1)
    z, log_det = run([layer], dim, x)
    np.testing.assert_allclose(z, np.exp(a) * x + t, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(log_det, a.sum(axis=1), rtol=1e-12, atol=1e-12)


def test_masks_in_a_circle_are_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="depend on one another"):
        _layers.autoregressive(2, _layers.affine("exp"), Network((random_dense(rng, 4, 2),)))


@pytest.mark.parametrize("columns", [[1, 3, 4], [4, 0, 2]])
def test_layers_of_some_columns(columns):
    rng = np.random.default_rng(1)
    mask = np.array([1, 0, 1])
    nets = [Network((random_dense(rng, 5, 2), random_dense(rng, 2, 5)), "relu")]
    lower = np.tril(np.ones((3, 3)), -1)
    nets.append(Network((random_dense(rng, 6, 3, np.repeat(lower, 2, 0)),)))
    layers = [
        _layers.permutation([2, 0, 1]),
        _layers.elementwise_affine(rng.normal(size=3), rng.normal(size=3)),
        _layers.elementwise_affine(0.5, 1.0),
        _layers.householder(rng.normal(size=(2, 3))),
        _layers.batch_norm(*np.exp(rng.normal(size=(4, 3))), 1e-5),
        _layers.coupling(mask, _layers.affine("exp"), nets[0]),
        _layers.autoregressive(3, _layers.affine("softplus", epsilon=0.01), nets[1]).inverted(),
        _layers.domain("log", [0, 2], low=[-50.0, -60.0]),
    ]
    if columns == sorted(columns):
        layers.append(_layers.linear(rng.normal(size=(3, 3))))
    x = rng.normal(size=(10, 5))
    for layer in layers:
        wide = _layers.embed(layer, columns, 5)
        assert wide is not None
        z, log_det = run([wide], 5, x)
        own, own_log_det = run([layer], 3, x[:, columns])
        np.testing.assert_allclose(z[:, columns], own, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(log_det, own_log_det, rtol=1e-12, atol=1e-12)
        rest = np.setdiff1d(range(5), columns)
        np.testing.assert_allclose(z[:, rest], x[:, rest], rtol=1e-14, atol=1e-14)


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


SCALES = {
    "softplus": lambda a: np.logaddexp(0, a) + 1e-3,
    "shifted softplus": lambda a: np.logaddexp(0, a + 0.3) + 0.01,
    "sigmoid": lambda a: sigmoid(a + 2) + 1e-3,
    "exp": np.exp,
    "glasflow's": lambda a: np.exp(6 * (sigmoid(a) - 0.5)),
    "tanh": lambda a: np.exp(1.5 * np.tanh(a)),
    "soft clip": lambda a: np.exp(a / (1 + np.abs(a / 3))),
    "one": np.ones_like,
}


@pytest.mark.parametrize("name", SCALES)
def test_scales_are_recognised(name):
    function = SCALES[name]
    scale = _probe.scale(function)
    assert scale is not None
    a = np.linspace(-6, 6, 50)
    columns = 1 if scale.transformer.parameters == 1 else 2
    rows = np.zeros((columns, 1))
    rows[0] = 1.0 if columns == 2 else 0.0
    network = Network((Dense.of(rows),), context=1)
    if columns == 2:
        network = network.select([0, 1], [scale.factor, 1.0], [scale.offset, 0.0])
    flow = _layers.flow([_layers.coupling([0], scale.transformer, network)], Layer("standard_normal"), 1, 1)
    z, _ = flow.to_noise(np.ones((50, 1)), a[:, None])
    np.testing.assert_allclose(z[:, 0], function(a), rtol=1e-9)


def test_unknown_functions_are_not_recognised():
    assert _probe.scale(lambda a: 1 + a**2) is None
    assert _probe.activation(np.sin) is None
    assert _probe.activation(lambda a: np.maximum(a, 0.2 * a)) is None
    for name, function in _probe.ACTIVATIONS.items():
        assert _probe.activation(function) == name


# A library of its own: a chain of affine maps, one of which is converted wrongly.


def affine_step(path, scale, shift, converted_scale=None):
    def forward(x, context):
        return x * scale + shift, np.full(len(x), x.shape[1] * np.log(scale))

    def backward(z, context):
        return (z - shift) / scale, np.full(len(z), -z.shape[1] * np.log(scale))

    layer = _layers.elementwise_affine(np.log(converted_scale or scale), shift)
    return Step(path, "Affine", [layer], forward, backward)


def chain(steps, density=None):
    def run(steps):
        def both(x, context):
            total = 0.0
            for step in steps:
                x, log_det = step.forward(x, context)
                total = total + log_det
            return x, total

        return both

    def base(z, context):
        return -0.5 * (z**2).sum(axis=1) - 0.5 * z.shape[1] * np.log(2 * np.pi)

    def log_prob(x, context):
        z, log_det = run(steps)(x, context)
        return (density or base)(z, context) + log_det

    return Source(
        "a library", "Chain", 2, steps, Layer("standard_normal"), log_prob, base, run(steps), run(reverse(steps))
    )


def test_what_agrees_is_handed_over():
    flow = convert(chain([affine_step("0", 2.0, 1.0), affine_step("1", 0.5, -1.0).inverted()]))
    np.testing.assert_allclose(flow.to_noise([[1.0, 2.0]])[0], [[8.0, 12.0]])
    assert flow.metadata["converted_from"] == "a library: Chain"


def test_the_first_part_that_differs_is_named():
    steps = [
        affine_step("chain.0", 2.0, 1.0),
        affine_step("chain.1", 2.0, 1.0, 2.0 + 1e-8),
        affine_step("chain.2", 3.0, 0.0),
    ]
    with pytest.raises(ConversionError, match=r"chain.1 \(Affine\): its results differ") as caught:
        convert(chain(steps))
    assert caught.value.path == "chain.1"


def test_the_report_goes_with_the_flow(tmp_path):
    source = chain([affine_step("0", 2.0, 1.0)])
    source.by_hand, source.in_float32 = ("a box around it",), lambda x, context: source.log_prob(x, context) + 1e-5
    source.dtype = "float32"
    convert(source).save(tmp_path / "flow.h5")
    report = diffeo.exchange.report(diffeo.load(tmp_path / "flow.h5"))
    assert (report.source, report.dtype, report.rows, report.left_out) == ("a library: Chain", "float32", 320, 0)
    assert report.float64 < 1e-14 < report.float32 < 1e-6 < report.source_float32 < 1e-5
    assert report.by_hand == ("a box around it",)
    lines = str(report).splitlines()
    assert lines[0] == "a library: Chain, on 320 rows"
    assert lines[-1] == "by hand: a box around it"


def test_flows_without_a_report():
    flow = _layers.flow([], Layer("standard_normal"), 2)
    with pytest.raises(ValueError, match="no 'conversion' in its metadata"):
        diffeo.exchange.report(flow)
    flow.metadata["conversion"] = "words"
    with pytest.raises(ValueError, match="is none of a conversion"):
        diffeo.exchange.report(flow)


@pytest.mark.parametrize("lost", [0.0, 1e-3, 1.0])
def test_float32_is_held_to_what_the_library_loses(lost):
    source = chain([affine_step("0", 1.0, -3e5), affine_step("1", 1.0, 1e5)])
    source.in_float32 = lambda x, context: source.log_prob(x, context) * (1 + lost)
    if lost < 1:
        with pytest.raises(ConversionError, match=r"in float32 is off by .*, its own by .*dtype='float64'"):
            convert(source, "float32")
    else:
        report = diffeo.exchange.report(convert(source, "float32"))
        assert 1e-4 < report.float32 < 4 * report.source_float32
    source.in_float32 = None
    with pytest.raises(ConversionError, match="this flow needs more digits"):
        convert(source, "float32")


@pytest.mark.parametrize("far", [1.5, 0.0])
def test_rows_out_of_range_are_left_out(far):
    """Where the library overflows there is nothing to compare; if that is everywhere, nothing at all."""
    step = affine_step("0", 2.0, 1.0)

    def forward(x, context):
        z, log_det = step.forward(x, context)
        return np.where(np.abs(z) > far, np.inf, z), log_det

    source = chain([replace(step, forward=forward)])
    if far:
        report = diffeo.exchange.report(convert(source))
        assert report.left_out == 64 - report.rows > 0
    else:
        with pytest.raises(ConversionError, match="0 of 64 rows stay in the range of float64 on both sides"):
            convert(source)


@pytest.mark.parametrize(
    ("scale", "words", "note"),
    [
        ("exp", {}, "without a bound"),
        ("tanh", {"bound": 6.0}, "to 0.002"),
        ("tanh", {"bound": 4.0}, None),
        ("softplus", {"epsilon": 1e-3}, "to 0.001"),
        ("softplus", {"epsilon": 0.1}, None),
        ("sigmoid", {"epsilon": 1e-3}, "to 0.001"),
        ("additive", {}, None),
    ],
)
@pytest.mark.parametrize("inverse", [False, True])
def test_small_scales_are_noted(scale, words, note, inverse):
    transformer = _layers.affine(scale, **words)
    layer = _layers.coupling([1, 0], transformer, Network((Dense.of(np.zeros((transformer.parameters, 1))),)))
    if inverse:
        layer = layer.inverted()
        note = {"softplus": "without a bound", "sigmoid": None}.get(scale, note)
    notes = small_scales([layer, _layers.permutation([1, 0])])
    if note is None:
        assert notes == ()
    else:
        assert notes == (
            f"the scale of 1 affine layer can fall below 0.01, {note}: samples can lie far from the data there",
        )


def test_another_density_is_refused():
    with pytest.raises(ConversionError, match="log_prob differs"):
        convert(chain([affine_step("0", 2.0, 1.0)], density=lambda z, context: -np.abs(z).sum(axis=1)))


def test_a_program_that_is_not_a_flow():
    with pytest.raises(ConversionError, match="it is a flow of none of nflows, zuko"):
        diffeo.convert(object())


@pytest.mark.parametrize("dtype", ["float16", "words", 5, np.int64])
def test_other_dtypes(dtype):
    with pytest.raises(ValueError, match="it must be float32 or float64"):
        diffeo.convert(object(), dtype=dtype)


def test_arrays_of_what_is_no_flow_of_ours():
    with pytest.raises(TypeError, match=r"not str: diffeo\.load reads one from a file"):
        diffeo.exchange.to_numpy("flow.h5")
    with pytest.raises(TypeError, match=r"not object, such as diffeo\.convert gives"):
        diffeo.exchange.to_numpy(object())


def test_the_network_of_an_affine_embedding():
    """For every way in which a network reads its context."""
    rng = np.random.default_rng(0)
    matrix, shift = rng.normal(size=(2, 3)), rng.normal(size=2)
    inner, outer = random_dense(rng, 4, 4), random_dense(rng, 4, 4)
    first, last = random_dense(rng, 4, 1), random_dense(rng, 2, 4)
    networks = [
        Network((random_dense(rng, 4, 3), last), "tanh", 2),
        Network(
            (random_dense(rng, 4, 3), last),
            "tanh",
            2,
            "preactivation",
            (Block(inner, outer, gate=random_dense(rng, 4, 2)),),
            "gate",
        ),
        Network(
            (first, last),
            "tanh",
            2,
            "preactivation",
            (Block(inner, outer, context=rng.normal(size=(4, 2))),),
            "shift",
            random_dense(rng, 4, 2),
        ),
    ]
    x, context = rng.normal(size=(10, 2)), rng.normal(size=(10, 3))
    for network in networks:
        layers = [
            _layers.coupling([1, 0], _layers.affine("exp"), each)
            for each in (network, network.embedding(matrix, shift))
        ]
        flows = [_layers.flow([layer], Layer("standard_normal"), 2, n) for layer, n in zip(layers, (2, 3), strict=True)]
        expected = flows[0].to_noise(x, context @ matrix.T + shift)[0]
        np.testing.assert_allclose(flows[1].to_noise(x, context)[0], expected, rtol=1e-12, atol=1e-12)


def test_the_command_line(tmp_path):
    def command(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "diffeo", *arguments], capture_output=True, text=True, cwd=tmp_path
        )

    said = command("convert", "--help")
    assert said.returncode == 0
    assert "--like" in said.stdout
    said = command("convert", "weights.pt", "--like", "nothing", "-o", "flow.h5")
    assert said.returncode == 1
    assert "it must be a module and a function" in said.stderr
    said = command("convert", "weights.pt", "--like", "no_such_module:build", "-o", "flow.h5")
    assert said.returncode == 1
    assert "no_such_module" in said.stderr
