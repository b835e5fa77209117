"""The density of a flow of dense layers as a graph of ONNX, without PyTorch."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from . import _read
from ._check import rows, same_density
from ._error import NoCounterpartError
from ._export import maker
from ._layers import Layer
from ._network import Dense, Network, Real, real
from ._read import Parts

OPSET, IR = 17, 8  # as of ONNX 1.12, in 2022
NORMAL_TAIL = (
    -4.445136353605862e-11, 1.1696529105076675e-10, 6.292078679667772e-10, -8.510067291525694e-10,
    -4.560985282531475e-09, 1.4229543969952314e-09, 2.281718958450826e-08, 1.4646717608478525e-08,
    -8.836619569126603e-08, -1.5651866434607109e-07, 2.735553067099946e-07, 1.0225715175515716e-06,
    -6.303827237271143e-07, -5.9205916412860635e-06, 7.168454813833569e-07, 3.5144796375948626e-05,
    -1.9082891229431116e-06, -0.000231094953562083, 0.00013334431569876615, 0.0016308184594349203,
    -0.003479692367597778, -0.007540188966828071, 0.06039657489094285, -0.18652185795965473, 0.3871374007422145,
    -0.6078966419718921, 0.7552851304157515,
)  # fmt: skip


class Value:
    """A tensor of the graph; sums, products and so on with one or with a number are nodes."""

    def __init__(self, graph: Graph, name: str) -> None:
        self.graph, self.name = graph, name

    def _with(self, op: str, other: Operand) -> Value:
        return self.graph.op(op, self, other)

    def __add__(self, other: Operand) -> Value:
        return self._with("Add", other)

    def __sub__(self, other: Operand) -> Value:
        return self._with("Sub", other)

    def __mul__(self, other: Operand) -> Value:
        return self._with("Mul", other)

    def __truediv__(self, other: Operand) -> Value:
        return self._with("Div", other)

    def __abs__(self) -> Value:
        return self.graph.op("Abs", self)


Operand: TypeAlias = Value | Real | float


class Graph:
    """Nodes and constants in one dtype, and the functions that `scale_of` computes with."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.dtype = dtype
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self._names: dict[tuple[str, bytes, tuple[int, ...]], str] = {}

    def op(self, op: str, *inputs: Operand, **attributes: Any) -> Value:
        """A node."""
        from onnx import helper

        names = [(each if isinstance(each, Value) else self.constant(each)).name for each in inputs]
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, names, [name], **attributes))
        return Value(self, name)

    def constant(self, values: Real | float) -> Value:
        """Numbers in the dtype, indices or truth values; the same ones are stored once."""
        from onnx import numpy_helper

        array = np.asarray(values)
        array = array.astype(self.dtype) if array.dtype.kind == "f" else array
        key = array.dtype.str, array.tobytes(), array.shape
        if key not in self._names:
            self._names[key] = f"c{len(self._names)}"
            self.constants.append(numpy_helper.from_array(array, self._names[key]))
        return Value(self, self._names[key])

    def columns(self, x: Value, index: Any) -> Value:
        """Some columns."""
        return self.op("Gather", x, np.asarray(index, np.int64), axis=1)

    def join(self, *parts: Value) -> Value:
        """Columns of several tensors side by side."""
        return self.op("Concat", *parts, axis=1)

    def total(self, x: Value) -> Value:
        """The sum of each row."""
        return self.op("ReduceSum", x, np.array([1]), keepdims=0)

    def dense(self, x: Value, dense: Dense) -> Value:
        """A linear layer: what a mask hides is 0."""
        return self.op("MatMul", x, dense.weight.T) + dense.bias

    def exp(self, a: Value) -> Value:
        """The exponential."""
        return self.op("Exp", a)

    def log(self, a: Value) -> Value:
        """The logarithm."""
        return self.op("Log", a)

    def tanh(self, a: Value) -> Value:
        """The hyperbolic tangent."""
        return self.op("Tanh", a)

    def atan(self, a: Value) -> Value:
        """The arc tangent; ONNX Runtime has it in float32 only: else a series, the angle being halved three times."""
        if self.dtype == np.float32:
            return self.op("Atan", a)
        for _ in range(3):
            a = a / (self.op("Sqrt", a * a + 1.0) + 1.0)
        square, total = a * a, a * 0.0
        for k in range(11, 0, -1):
            total = (total + (-1) ** k / (2 * k + 1)) * square
        return a * (total + 1.0) * 8.0

    def normal_cdf(self, a: Value) -> Value:
        """(1 + erf(a / sqrt(2))) / 2; ONNX Runtime has erf in float32 only: else as in Kernels/NormalTail.swift."""
        if self.dtype == np.float32:
            return (self.op("Erf", a * float(np.sqrt(0.5))) + 1.0) * 0.5
        u = self.minimum(abs(a), 40.0)
        r = self.op("Reciprocal", u + 4.0)
        z, tail = r * -8.0 + 1.0, r * 0.0
        for coefficient in NORMAL_TAIL:
            tail = tail * z + coefficient
        tail = tail * r * self.exp(u * u * -0.5)
        return self.op("Where", self.op("Less", a, 0.0), tail, tail * -1.0 + 1.0)

    def sigmoid(self, a: Value) -> Value:
        """1 / (1 + exp(-a))."""
        return self.op("Sigmoid", a)

    def minimum(self, a: Value, b: float) -> Value:
        """The smaller."""
        return self.op("Min", a, b)

    def maximum(self, a: Value, b: float) -> Value:
        """The larger."""
        return self.op("Max", a, b)

    def softplus(self, a: Value) -> Value:
        """log(1 + exp(a)); ONNX Runtime has it in float32 only."""
        if self.dtype == np.float32:
            return self.op("Softplus", a)
        e = self.exp(abs(a) * -1.0)
        small = e * (e * (e * (1 / 3) - 0.5) + 1.0)
        return self.maximum(a, 0.0) + self.op("Where", self.op("Less", e, 1e-5), small, self.log(e + 1.0))


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
}


def network(m: Graph, net: Network, x: Value | None, context: Value | None) -> Value:
    """The outputs of a network that reads these columns, then the context."""
    act = ACTIVATIONS[net.activation]
    inputs = [each for each in (x, context) if each is not None]
    if net.context_layer is not None and context is not None:
        assert x is not None
        h = m.dense(x, net.dense[0]) + act(m, m.dense(context, net.context_layer))
    else:
        h = m.dense(m.join(*inputs) if len(inputs) > 1 else inputs[0], net.dense[0])
    for dense in net.dense[1:] if net.kind == "plain" else ():
        h = m.dense(act(m, h), dense)
    if net.kind == "plain":
        return h
    for block in net.blocks:
        h = h if block.link is None else m.dense(h, block.link)
        y = h if block.scale is None or block.shift is None else h * block.scale + block.shift
        y = m.dense(act(m, y) if net.kind == "preactivation" else y, block.inner)
        if block.context is not None and context is not None:
            y = y + m.op("MatMul", context, block.context.T)
        y = m.dense(act(m, y), block.outer)
        if block.gate is not None and context is not None:
            y = y * m.sigmoid(m.dense(context, block.gate))
        h = h + y
    return m.dense(h, net.dense[-1])


# -------------------------------------------------------------------------------------------------------------- layers

# What a layer makes of x, and its log-determinant: a number where it is the same for all rows
Image: TypeAlias = tuple[Value, Value | float]
State: TypeAlias = tuple[Value, Value | None]  # x and the context


def _affine(m: Graph, layer: Layer, params: Value, more: Value | None, count: int) -> tuple[Value | None, Value]:
    """Scales and shifts of so many columns; no scales if they are 1."""
    assert layer.transformer is not None
    kind = layer.transformer.attributes["transformer"]
    if kind != "affine":
        raise NoCounterpartError(f"its transformer is {kind}; only affine ones are exported")
    if layer.transformer.parameters == 1:
        return None, params
    if more is not None:
        return _read.scale_and_shift(m, layer.transformer, more, params)
    index = 2 * np.arange(count)
    return _read.scale_and_shift(m, layer.transformer, m.columns(params, index), m.columns(params, index + 1))


def _map(m: Graph, x: Value, scale: Value | None, shift: Value, inverse: bool) -> Image:
    if scale is None:
        return (x - shift if inverse else x + shift), 0.0
    log_det = m.total(m.log(scale))
    return ((x - shift) / scale, log_det * -1.0) if inverse else (x * scale + shift, log_det)


def _coupling(m: Graph, layer: Layer, state: State, parts: Parts) -> Image:
    x, context = state
    mask = layer.lists["mask"]
    kept, moved = np.flatnonzero(mask), np.flatnonzero(mask == 0)
    columns = m.columns(x, kept) if len(kept) else None
    nets = [None if n is None else n.given(parts.context) for n in (layer.network, layer.scale_network)]
    params, more = (None if n is None else network(m, n, columns, context) for n in nets)
    assert params is not None
    scale, shift = _affine(m, layer, params, more, len(moved))
    y, log_det = _map(m, m.columns(x, moved), scale, shift, layer.inverse)
    if columns is not None:
        y = m.columns(m.join(columns, y), np.argsort(np.concatenate([kept, moved])))
    return y, log_det


def _autoregressive(m: Graph, layer: Layer, state: State, parts: Parts) -> Image:
    z, context = state
    assert layer.network is not None
    net, dim = layer.network.given(parts.context), parts.dim
    inverse = bool(layer.attributes.get("inverse_map", 0))

    def step(x: Value, y: Value, backwards: bool) -> Image:
        scale, shift = _affine(m, layer, network(m, net, x, context), None, dim)
        return _map(m, y, scale, shift, backwards)

    if not layer.inverse:
        return step(z, z, inverse)
    x = z * 0.0
    log_det: Value | float = 0.0
    for column in layer.lists["order"]:  # each from those before it
        found, log_det = step(x, z, not inverse)
        x = m.op("Where", np.arange(dim) == column, found, x)
    return x, log_det


def _elementwise(m: Graph, layer: Layer, state: State, parts: Parts) -> Image:
    if layer.network is None:
        columns, (x, _) = layer.lists["columns"], state
        params = m.constant(layer.parameters["parameters"].reshape(1, -1))
        scale, shift = _affine(m, layer, params, None, len(columns))
        others = np.setdiff1d(np.arange(parts.dim), columns)
        y, log_det = _map(m, m.columns(x, columns), scale, shift, layer.inverse)
        order = np.argsort(np.concatenate([others, columns]))
        return (m.columns(m.join(m.columns(x, others), y), order) if len(others) else y), log_det
    return _coupling(m, _read.as_coupling(layer, parts.dim), state, parts)


def _diagonal(m: Graph, layer: Layer, state: State, parts: Parts) -> Image:
    scale, shift = _read.elementwise(layer)
    return state[0] * scale + shift, float(np.log(scale).sum())


def _linear(m: Graph, layer: Layer, state: State, parts: Parts) -> Image:
    found, bias = _read.matrix(layer)
    log_det = float(layer.parameters.get("log_scale", np.zeros(1)).sum())
    return m.dense(state[0], Dense.of(found, bias)), -log_det if layer.inverse else log_det


def _permutation(m: Graph, layer: Layer, state: State, parts: Parts) -> Image:
    columns = layer.lists["permutation"]
    return m.columns(state[0], np.argsort(columns) if layer.inverse else columns), 0.0


TABLE: dict[str, Callable[[Graph, Layer, State, Parts], Image]] = {
    "coupling": _coupling,
    "autoregressive": _autoregressive,
    "elementwise": _elementwise,
    "permutation": _permutation,
    "lu": _linear,
    "householder": _linear,
    "actnorm": _diagonal,
    "batch_norm": _diagonal,
    "standardize": _diagonal,
}


# --------------------------------------------------------------------------------------------------------------- bases


def _normal(m: Graph, base: Layer, state: State, parts: Parts) -> Value:
    z, context = state
    constant = -0.5 * parts.dim * float(np.log(2 * np.pi))
    if base.network is not None:
        params = network(m, base.network, None, context)
        index = np.arange(parts.dim)
        log_scale = m.columns(params, index + parts.dim)
        z = (z - m.columns(params, index)) * m.exp(log_scale * -1.0)
        return m.total(z * z * -0.5 - log_scale) + constant
    if base.kind == "normal":
        scale = np.exp(-base.parameters["log_scale"])
        z, constant = (z - base.parameters["mean"]) * scale, constant + float(np.log(scale).sum())
    return m.total(z * z * -0.5) + constant


def _logistic(m: Graph, base: Layer, state: State, parts: Parts) -> Value:
    a = abs(state[0])
    return m.total(a * -1.0 - m.softplus(a * -1.0) * 2.0)


BASES: dict[str, Callable[[Graph, Layer, State, Parts], Value]] = {
    "standard_normal": _normal,
    "normal": _normal,
    "logistic": _logistic,
}


def write(parts: Parts, path: str | os.PathLike[str]) -> None:
    """The file. ONNX's own evaluator holds it to the flow, in float64 and in the dtype of the flow."""
    try:
        import onnx.reference
    except ImportError as error:
        raise ImportError("to_onnx needs onnx 1.13 or later: pip install onnx") from error
    wide = _read.in_float64(parts.flow)
    for flow in (wide, parts.flow) if parts.flow.dtype == np.float32 else (wide,):
        model = _model(parts, flow.dtype)
        onnx.checker.check_model(model, full_check=True)
        evaluator = onnx.reference.ReferenceEvaluator(model)

        def log_prob(x: Real, context: Real | None, evaluator: Any = evaluator) -> Real:
            given = {"x": x} if context is None else {"x": x, "context": context}
            return real(evaluator.run(None, given)[0])

        same_density("ONNX", "log_prob", log_prob, flow, wide, rows(wide)[:2])
    Path(path).write_bytes(model.SerializeToString())


def _model(parts: Parts, dtype: np.dtype[Any]) -> Any:
    from onnx import helper

    m = Graph(dtype)
    x, context = Value(m, "x"), Value(m, "context") if parts.context else None
    log_det: Value | float = 0.0
    constant = 0.0
    for i, layer in enumerate(parts.layers):
        x, more = maker(TABLE, layer, _read.path_of(i), "ONNX")(m, layer, (x, context), parts)
        if isinstance(more, float):
            constant += more
        else:
            log_det = more + log_det
    density = maker(BASES, parts.base, "base", "ONNX")(m, parts.base, (x, context), parts) + constant
    m.op("Add", density, log_det)
    m.nodes[-1].output[0] = "log_prob"
    number = helper.np_dtype_to_tensor_dtype(dtype)
    shapes = {"x": ["rows", parts.dim]} | ({"context": ["rows", parts.context]} if parts.context else {})
    graph = helper.make_graph(
        m.nodes, "log_prob", [helper.make_tensor_value_info(name, number, shape) for name, shape in shapes.items()],
        [helper.make_tensor_value_info("log_prob", number, ["rows"])], m.constants,
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="diffeo")
    model.ir_version = IR
    helper.set_model_props(model, dict(parts.flow.metadata))
    return model
