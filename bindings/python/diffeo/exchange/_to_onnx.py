"""What a flow of dense layers computes as a graph of ONNX, without PyTorch."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from ..flow import Flow
from . import _formulas, _read
from ._check import Rows, rows
from ._export import maker, refuse_images, same_results
from ._graph import Graph, Value
from ._layers import Layer, Transformer
from ._network import Dense, Network, Real, real
from ._read import Parts

OPSET, IR = 17, 8  # as of ONNX 1.12, in 2022
METHODS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "log_prob": ("x", ("log_prob",)),
    "to_noise": ("x", ("z", "log_det")),
    "from_noise": ("z", ("x", "log_det")),
}

# ------------------------------------------------------------------------------------------------------------ networks

ACTIVATIONS: dict[str, Callable[[Graph, Value], Value]] = {
    "relu": lambda m, a: m.maximum(a, 0.0),
    "tanh": lambda m, a: m.tanh(a),
    "elu": lambda m, a: m.maximum(a, 0.0) + (m.exp(m.minimum(a, 0.0)) - 1.0),
    "silu": lambda m, a: a * m.sigmoid(a),
    "leaky_relu": lambda m, a: m.maximum(a, 0.0) + m.minimum(a, 0.0) * 0.01,
    "softplus": lambda m, a: m.softplus(a),
    "sigmoid": lambda m, a: m.sigmoid(a),
    "gelu": lambda m, a: a * m.sigmoid((a + a * a * a * 0.044715) * (2 * float(np.sqrt(2 / np.pi)))),
    "gelu_erf": lambda m, a: a * m.normal_cdf(a),
    "mish": lambda m, a: a * m.tanh(m.softplus(a)),
    "hard_silu": lambda m, a: a * m.minimum(m.maximum(a + 3.0, 0.0), 6.0) * (1 / 6),
}


def linear(m: Graph, x: Value, dense: Dense) -> Value:
    """A linear layer: what a mask hides is 0."""
    return m.op("MatMul", x, dense.weight.T) + dense.bias


def network(m: Graph, net: Network, x: Value | None, context: Value | None) -> Value:
    """The outputs of a network that reads these columns, then the context."""
    act = ACTIVATIONS[net.activation]
    inputs = [each for each in (x, context) if each is not None]
    if net.context_layer is not None and context is not None:
        assert x is not None
        h = linear(m, x, net.dense[0]) + act(m, linear(m, context, net.context_layer))
    else:
        h = linear(m, m.join(*inputs) if len(inputs) > 1 else inputs[0], net.dense[0])
    for dense in net.dense[1:] if net.kind == "plain" else ():
        h = linear(m, act(m, h), dense)
    if net.kind == "plain":
        return h
    for block in net.blocks:
        h = h if block.link is None else linear(m, h, block.link)
        y = h if block.scale is None or block.shift is None else h * block.scale + block.shift
        y = linear(m, act(m, y) if net.kind == "preactivation" else y, block.inner)
        if block.context is not None and context is not None:
            y = y + m.op("MatMul", context, block.context.T)
        y = linear(m, act(m, y), block.outer)
        if block.gate is not None and context is not None:
            y = y * m.sigmoid(linear(m, context, block.gate))
        h = h + y
    return linear(m, h, net.dense[-1])


# -------------------------------------------------------------------------------------------------------------- layers

# What a layer makes of x, and its log-determinant: a number where it is the same for all rows
Image: TypeAlias = tuple[Value, "Value | float"]
State: TypeAlias = tuple[Value, "Value | None"]  # x and the context


def _total(m: Graph, x: Value) -> Value:
    """The sum of each row."""
    return m.op("ReduceSum", x, np.array([1]), keepdims=0)


def _mapped(m: Graph, transformer: Transformer, p: Value, x: Value, inverse: bool) -> Image:
    y, log_slope = _formulas.element_map(m, transformer, p, x, inverse)
    return y, 0.0 if transformer.attributes.get("scale") == "additive" else _total(m, log_slope)


def _by_column(m: Graph, params: Value, per: int, count: int) -> Value:
    """Parameters [n, columns, parameters of each]."""
    return m.columns(params, np.arange(count * per).reshape(count, per))


def _read_by(m: Graph, layer: Layer, net: Network, x: Value) -> tuple[Network, Value]:
    """What a network reads of columns: of angles that are on a circle, cosines and sines."""
    assert layer.transformer is not None
    if not _read.on_circle(layer.transformer):
        return net, x
    said: Mapping[str, Any] = layer.transformer.attributes
    angle = (x - said["low"]) * (2 * np.pi / (said["high"] - said["low"]))
    half = m.sin(angle * 0.5)  # ONNX Runtime has the cosine in float32 only
    order = np.arange(net.inputs).reshape(-1, 2).T.ravel()
    return net.reading(order), m.join(half * half * -2.0 + 1.0, m.sin(angle))


def _coupling(m: Graph, layer: Layer, state: State, parts: Parts) -> Image:
    x, context = state
    assert layer.transformer is not None
    mask = layer.lists["mask"]
    kept, moved = np.flatnonzero(mask), np.flatnonzero(mask == 0)
    columns = m.columns(x, kept) if len(kept) else None

    def run(net: Network | None) -> Value | None:
        if net is None:
            return None
        net, reads = net.given(parts.context), columns
        if columns is not None:
            net, reads = _read_by(m, layer, net, columns)
        return network(m, net, reads, context)

    params, more = run(layer.network), run(layer.scale_network)
    assert params is not None
    if more is not None:  # scales come first
        p = m.op("Concat", m.wide(more), m.wide(params), axis=-1)
    else:
        p = _by_column(m, params, layer.transformer.parameters, len(moved))
    y, log_det = _mapped(m, layer.transformer, p, m.columns(x, moved), layer.inverse)
    if columns is not None:
        y = m.columns(m.join(columns, y), np.argsort(np.concatenate([kept, moved])))
    return y, log_det


def _autoregressive(m: Graph, layer: Layer, state: State, parts: Parts) -> Image:
    z, context = state
    assert layer.network is not None
    assert layer.transformer is not None
    transformer, net, dim = layer.transformer, layer.network.given(parts.context), parts.dim
    per, inverse = transformer.parameters, bool(layer.attributes.get("inverse_map", 0))
    if not layer.inverse:
        net, reads = _read_by(m, layer, net, z)
        return _mapped(m, transformer, _by_column(m, network(m, net, reads, context), per, dim), z, inverse)
    x, log_det = m.where(z < 0.0, 0.0, 0.0), None
    for column in layer.lists["order"]:  # each from those before it
        one, reads = _read_by(m, layer, net.select(np.arange(column * per, (column + 1) * per)), x)
        p = _by_column(m, network(m, one, reads, context), per, 1)
        found, more = _mapped(m, transformer, p, m.columns(z, [column]), not inverse)
        x = m.where(m.constant(np.arange(dim) == column), found, x)
        log_det = more if log_det is None or isinstance(more, float) else log_det + more
    assert log_det is not None
    return x, log_det


def _elementwise(m: Graph, layer: Layer, state: State, parts: Parts) -> Image:
    if layer.network is not None:
        return _coupling(m, _read.as_coupling(layer, parts.dim), state, parts)
    assert layer.transformer is not None
    columns, (x, _) = layer.lists["columns"], state
    p = m.constant(layer.parameters["parameters"][None])
    y, log_det = _mapped(m, layer.transformer, p, m.columns(x, columns), layer.inverse)
    return _among(m, x, y, columns, parts.dim), log_det


def _among(m: Graph, x: Value, y: Value, columns: Any, dim: int) -> Value:
    """Some columns of x replaced."""
    others = np.setdiff1d(np.arange(dim), columns)
    if not len(others):
        return y
    return m.columns(m.join(m.columns(x, others), y), np.argsort(np.concatenate([others, columns])))


def _domain(m: Graph, layer: Layer, state: State, parts: Parts) -> Image:
    columns, (x, _) = layer.lists["columns"], state
    name = str(layer.attributes["map"])
    y, log_slope = _formulas.domain(m, name, layer.parameters, m.columns(x, columns), layer.inverse)
    return _among(m, x, y, columns, parts.dim), _total(m, log_slope)


def _wrap(m: Graph, layer: Layer, state: State, parts: Parts) -> Image:
    columns, (x, _) = layer.lists.get("columns", np.arange(parts.dim)), state
    return _among(m, x, _formulas.wrap(m, layer, m.columns(x, columns), layer.inverse), columns, parts.dim), 0.0


def _dequantize(m: Graph, layer: Layer, state: State, parts: Parts) -> Image:
    levels = _read.levels(layer, parts.dim)
    scale, log_det = (levels if layer.inverse else 1 / levels), float(np.log(levels).sum())
    return state[0] * m.constant(scale[None]), log_det if layer.inverse else -log_det


def _vectors(m: Graph, layer: Layer, names: tuple[str, ...], sizes: tuple[int, ...], state: State) -> list[Value]:
    """Trained vectors, or what a network of the context gives."""
    if layer.network is None:
        return [m.constant(layer.parameters[name][None]) for name in names]
    params = network(m, layer.network, None, state[1])
    ends = np.cumsum([0, *sizes])
    return [m.columns(params, np.arange(*pair)) for pair in pairwise(ends)]


def _planar(m: Graph, layer: Layer, state: State, parts: Parts) -> Image:
    u, w, b = _vectors(m, layer, ("u", "w", "b"), (parts.dim, parts.dim, 1), state)
    return _formulas.planar(m, u, w, m.pick(b, 0), state[0], layer.inverse)


def _radial(m: Graph, layer: Layer, state: State, parts: Parts) -> Image:
    x0, alpha, beta = _vectors(m, layer, ("x0", "alpha", "beta"), (parts.dim, 1, 1), state)
    return _formulas.radial(m, parts.dim, x0, m.pick(alpha, 0), m.pick(beta, 0), state[0], layer.inverse)


def _diagonal(m: Graph, layer: Layer, state: State, parts: Parts) -> Image:
    scale, shift = _read.elementwise(layer)
    return state[0] * scale + shift, float(np.log(scale).sum())


def _linear(m: Graph, layer: Layer, state: State, parts: Parts) -> Image:
    found, bias = _read.matrix(layer)
    return linear(m, state[0], Dense.of(found, bias)), _read.log_determinant(layer)


def _permutation(m: Graph, layer: Layer, state: State, parts: Parts) -> Image:
    columns = layer.lists["permutation"]
    return m.columns(state[0], np.argsort(columns) if layer.inverse else columns), 0.0


TABLE: dict[str, Callable[[Graph, Layer, State, Parts], Image]] = {
    "coupling": _coupling,
    "autoregressive": _autoregressive,
    "elementwise": _elementwise,
    "domain": _domain,
    "wrap": _wrap,
    "dequantize": _dequantize,
    "planar": _planar,
    "radial": _radial,
    "permutation": _permutation,
    "lu": _linear,
    "linear": _linear,
    "householder": _linear,
    "actnorm": _diagonal,
    "batch_norm": _diagonal,
    "standardize": _diagonal,
}


# --------------------------------------------------------------------------------------------------------------- bases


def _normal(m: Graph, base: Layer, state: State, parts: Parts) -> Value:
    dim = parts.dim
    if base.kind == "standard_normal":
        mean, log_scale = m.constant(0.0), m.constant(0.0)
    else:
        mean, log_scale = _vectors(m, base, ("mean", "log_scale"), (dim, dim), state)
    return _total(m, _formulas.normal(m, state[0], mean, log_scale))


def _uniform(m: Graph, base: Layer, state: State, parts: Parts) -> Value:
    # the ends are those of the dtype
    low, high = (float(np.asarray(base.attributes[name], m.dtype)) for name in ("low", "high"))
    return _total(m, _formulas.uniform(m, state[0], low, high))


def _student_t(m: Graph, base: Layer, state: State, parts: Parts) -> Value:
    (log_df,) = _vectors(m, base, ("log_df",), (parts.dim,), state)
    return _total(m, _formulas.student_t(m, state[0], log_df))


def _mixture(m: Graph, base: Layer, state: State, parts: Parts) -> Value:
    count, dim = int(str(base.attributes["components"])), parts.dim
    if base.network is None:
        logits, means, log_scales = _vectors(m, base, ("logits", "means", "log_scales"), (), state)
    else:
        params = network(m, base.network, None, state[1])
        place = np.arange(count * dim).reshape(count, dim) + count
        logits = m.columns(params, np.arange(count))
        means, log_scales = m.columns(params, place), m.columns(params, place + count * dim)
    density: Value = _formulas.mixture(m, state[0], logits, means, log_scales)
    return density


def _made(m: Graph, base: Layer, state: State, parts: Parts) -> Value:
    z, context = state
    assert base.transformer is not None

    def density(net: Network) -> Value:
        assert base.transformer is not None
        outputs = network(m, net.given(parts.context), z, context)
        p = _by_column(m, outputs, base.transformer.parameters, parts.dim)
        return _total(m, _formulas.conditional(m, base.transformer, p, z))

    each = [density(net) for net in base.masks]
    if len(each) == 1:
        return each[0]
    total: Value = _formulas.log_sum(m, m.join(*map(m.wide, each)))
    return total - float(np.log(len(each)))


BASES: dict[str, Callable[[Graph, Layer, State, Parts], Value]] = {
    "standard_normal": _normal,
    "normal": _normal,
    "logistic": lambda m, base, state, parts: _total(m, _formulas.logistic(m, state[0])),
    "uniform": _uniform,
    "student_t": _student_t,
    "mixture": _mixture,
    "made": _made,
}

# --------------------------------------------------------------------------------------------------------------- files


def write(parts: Parts, path: str | os.PathLike[str], method: str) -> None:
    """The file. ONNX's own evaluator holds it to the flow, in float64 and in the dtype of the flow."""
    try:
        import onnx.reference
    except ImportError as error:
        raise ImportError("to_onnx needs onnx 1.13 or later: pip install onnx") from error
    wide, given = _read.in_float64(parts.flow), METHODS[method][0]
    flows = (wide, parts.flow) if parts.flow.dtype == np.float32 else (wide,)
    models = [_model(parts, flow.dtype, method) for flow in flows]
    refuse_images(parts)
    on = _rows(wide, method)
    for flow, model in zip(flows, models, strict=True):
        onnx.checker.check_model(model, full_check=True)
        evaluator = onnx.reference.ReferenceEvaluator(model)

        def run(x: Real, context: Real | None, evaluator: Any = evaluator) -> list[Real]:
            with np.errstate(all="ignore"):
                inputs = {given: x} if context is None else {given: x, "context": context}
                return [real(each) for each in evaluator.run(None, inputs)]

        same_results("ONNX", method, run, flow, wide, on)
    Path(path).write_bytes(models[-1].SerializeToString())


def _rows(flow: Flow, method: str) -> Rows:
    """Of data, or of its noise."""
    x, context = rows(flow)[:2]
    if method != "from_noise":
        return x, context
    z, _ = flow.to_noise(x, context)
    back, _ = flow.from_noise(z, context)  # noise of a bounded base may be rounded to its end
    known = np.isfinite(z).all(axis=1) & np.isfinite(back).all(axis=1)
    return z[known], None if context is None else context[known]


def _model(parts: Parts, dtype: np.dtype[Any], method: str) -> Any:
    from onnx import helper

    m = Graph(dtype)
    given, results = METHODS[method]
    number = helper.np_dtype_to_tensor_dtype(dtype)
    x, context = Value(m, given), Value(m, "context") if parts.context else None
    start, log_det, constant = x, None, 0.0
    chain = [(layer, _read.path_of(i)) for i, layer in enumerate(parts.layers)]
    if method == "from_noise":
        chain = [(layer.inverted(), path) for layer, path in reversed(chain)]
    for layer, path in chain:
        x, more = maker(TABLE, layer, path, "ONNX")(m, layer, (x, context), parts)
        if isinstance(more, float):
            constant += more
        else:
            log_det = more if log_det is None else more + log_det
    if method == "log_prob":
        density = maker(BASES, parts.base, "base", "ONNX")(m, parts.base, (x, context), parts) + constant
        outputs = [_supported(m, density if log_det is None else density + log_det, start)]
    else:
        none = _total(m, m.where(m.columns(start, [0]) < 0.0, constant, constant))
        outputs = [x, none if log_det is None else none + log_det]
    named = [m.op("Identity", each) for each in outputs]
    for node, name in zip(m.nodes[-len(named) :], results, strict=True):
        node.output[0] = name
    shapes = {"x": ["rows", parts.dim], "z": ["rows", parts.dim], "context": ["rows", parts.context]}

    def info(name: str) -> Any:
        return helper.make_tensor_value_info(name, number, shapes.get(name, ["rows"]))

    inputs = [given, "context"] if parts.context else [given]
    graph = helper.make_graph(m.nodes, method, [*map(info, inputs)], [*map(info, results)], m.constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="diffeo")
    model.ir_version = IR
    helper.set_model_props(model, dict(parts.flow.metadata))
    return model


def _supported(m: Graph, density: Value, x: Value) -> Value:
    """Beyond the support a map has no number: there the density is 0, unless x is not a number itself."""
    zero = m.where(x < 0.0, 0.0, m.where(x > -1.0, 0.0, m.nan(x)))
    return m.where(density < np.inf, density, _total(m, zero) - np.inf)
