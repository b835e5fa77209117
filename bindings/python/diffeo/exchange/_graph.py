"""A graph of ONNX that is written by arithmetic, for formulas, with operators that every runtime has.

They are those of TMVA SOFIE in ROOT, which has no Floor, Softplus, Atan, CumSum or ReduceMax, and no loops; and of
these the ones that ONNX Runtime has in float64, too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from ._formulas import NORMAL_TAIL
from ._network import Real


class Value:
    """A tensor of the graph; sums, products and so on with one or with a number are nodes."""

    __array_ufunc__ = None  # NumPy is to leave arithmetic to it

    def __init__(self, graph: Graph, name: str) -> None:
        self.graph, self.name = graph, name

    def __add__(self, other: Operand) -> Value:
        return self.graph.op("Add", self, other)

    def __sub__(self, other: Operand) -> Value:
        return self.graph.op("Sub", self, other)

    def __mul__(self, other: Operand) -> Value:
        return self.graph.op("Mul", self, other)

    def __truediv__(self, other: Operand) -> Value:
        return self.graph.op("Div", self, other)

    def __radd__(self, other: float) -> Value:
        return self.graph.op("Add", self, other)

    def __rtruediv__(self, other: float) -> Value:
        return self.graph.op("Div", other, self)

    def __lt__(self, other: Operand) -> Value:  # type: ignore[misc]
        return self.graph.op("Less", self, other)

    def __gt__(self, other: float) -> Value:
        return self.graph.op("Less", other, self)

    def __abs__(self) -> Value:
        return self.graph.op("Abs", self)


Operand: TypeAlias = "Value | Real | float"


class Graph:
    """Nodes and constants in one dtype, and what formulas ask of `m`."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.dtype = dtype
        self._eps = float(np.finfo(dtype).eps)
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

    # ------------------------------------------------------------------------------------------------ rows [n, columns]

    def columns(self, x: Value, index: Any) -> Value:
        """Some columns; of a matrix of indices, parameters [n, columns, parameters]."""
        return self.op("Gather", x, np.asarray(index, np.int64), axis=1)

    def join(self, *parts: Value) -> Value:
        """Columns of several tensors side by side."""
        return self.op("Concat", *parts, axis=1)

    # --------------------------------------------------------------------------------------------------- the last axis

    def wide(self, x: Value) -> Value:
        """With one axis more."""
        return self.op("Unsqueeze", x, np.array([-1]))

    def between(self, x: Value) -> Value:
        """With one axis more, before the last."""
        return self.op("Unsqueeze", x, np.array([-2]))

    def part(self, x: Value, start: int, stop: int) -> Value:
        """Some entries of the last axis."""
        return self.op("Gather", x, np.arange(start, stop), axis=-1)

    def pick(self, x: Value, index: int) -> Value:
        """One entry of the last axis."""
        return self.op("Gather", x, np.array(index), axis=-1)

    def sum(self, x: Value) -> Value:
        """Along the last axis."""
        return self.op("ReduceSum", x, np.array([-1]), keepdims=0)

    def most(self, x: Value) -> Value:
        """The largest of the last axis, which is -1 times the first of ..., by TopK."""
        values = self.op("TopK", x, np.array([1]), axis=-1)
        self.nodes[-1].output.append(f"{values.name}i")
        return self.pick(values, 0)

    def softmax(self, x: Value) -> Value:
        """Along the last axis."""
        return self.op("Softmax", x, axis=-1)

    def times(self, x: Value, matrix: Real) -> Value:
        """The matrix product with the last axis."""
        return self.op("MatMul", x, matrix)

    # ------------------------------------------------------------------------------------------------------- functions

    def const(self, values: Real, like: Value) -> Value:
        """Numbers as a tensor."""
        return self.constant(np.asarray(values, np.float64))

    def eps(self, like: Value) -> float:
        """From 1 to the next number."""
        return self._eps

    def nan(self, like: Value) -> Value:
        """No number."""
        return self.log(self.constant(-1.0))

    def where(self, condition: Value, a: Operand, b: Operand) -> Value:
        """The one or the other."""
        return self.op("Where", condition, a, b)

    def indicator(self, condition: Value, like: Value) -> Value:
        """1 where it holds, else 0."""
        return self.where(condition, 1.0, 0.0)

    def minimum(self, a: Operand, b: Operand) -> Value:
        """The smaller."""
        return self.op("Min", a, b)

    def maximum(self, a: Operand, b: Operand) -> Value:
        """The larger."""
        return self.op("Max", a, b)

    def exp(self, a: Value) -> Value:
        """The exponential."""
        return self.op("Exp", a)

    def log(self, a: Value) -> Value:
        """The logarithm."""
        return self.op("Log", a)

    def sqrt(self, a: Value) -> Value:
        """The square root."""
        return self.op("Sqrt", a)

    def sigmoid(self, a: Value) -> Value:
        """1 / (1 + exp(-a))."""
        return self.op("Sigmoid", a)

    def tanh(self, a: Value) -> Value:
        """The hyperbolic tangent."""
        return self.op("Tanh", a)

    def log1p(self, a: Value) -> Value:
        """log(1 + a): the rounding of u = 1 + a goes out of log(u) a / (u - 1) (Kahan)."""
        u = a + 1.0
        rest = u - 1.0
        safe = self.where(abs(rest) < self._eps / 4, 1.0, rest)
        return self.where(abs(rest) < self._eps / 4, a, self.log(u) * (a / safe))

    def expm1(self, a: Value) -> Value:
        """exp(a) - 1 = 2 t / (1 - t) with t = tanh(a / 2), where that is not 1."""
        t = self.tanh(self.minimum(a, 1.0) * 0.5)
        return self.where(a < 1.0, t * 2.0 / (t * -1.0 + 1.0), self.exp(a) - 1.0)

    def softplus(self, a: Value) -> Value:
        """log(1 + exp(a))."""
        return self.maximum(a, 0.0) + self.log1p(self.exp(abs(a) * -1.0))

    def atan(self, a: Value) -> Value:
        """The arc tangent by a series, the angle being halved three times."""
        for _ in range(3):
            a = a / (self.sqrt(a * a + 1.0) + 1.0)
        square, total = a * a, a * 0.0
        for k in range(11, 0, -1):
            total = (total + (-1) ** k / (2 * k + 1)) * square
        return a * (total + 1.0) * 8.0

    def sin(self, a: Value) -> Value:
        """The sine."""
        return self.op("Sin", a)

    def floor(self, a: Value) -> Value:
        """The largest integer below, of numbers that int64 can hold."""
        from onnx import TensorProto, helper

        whole = self.op("Cast", a, to=TensorProto.INT64)
        number = self.op("Cast", whole, to=helper.np_dtype_to_tensor_dtype(self.dtype))
        return number - self.where(a < number, 1.0, 0.0)

    def normal_tail(self, u: Value) -> Value:
        """Q(u) exp(u^2 / 2) for u >= 0, Q being the probability beyond u of the standard normal distribution."""
        r = 1.0 / (u + 4.0)
        coefficients = np.array(NORMAL_TAIL[self.dtype.name])
        power = self.wide(r * -8.0 + 1.0)
        powers, count = self.op("Concat", power * 0.0 + 1.0, power, axis=-1), 2
        while count < len(coefficients):
            power, count = power * power, 2 * count
            powers = self.op("Concat", powers, powers * power, axis=-1)
        return self.sum(powers * np.pad(coefficients, (0, count - len(coefficients)))) * r

    def normal_cdf(self, a: Value) -> Value:
        """The standard normal distribution function."""
        u = self.minimum(abs(a), 40.0)
        tail = self.normal_tail(u) * self.exp(u * u * -0.5)
        return self.where(a < 0.0, tail, tail * -1.0 + 1.0)

    # --------------------------------------------------------------------------------------------- steps, and gradients

    def repeat(self, count: int, step: Callable[..., tuple[Value, ...]], state: tuple[Value, ...]) -> tuple[Value, ...]:
        """The steps one after another."""
        for _ in range(count):
            state = step(*state)
        return state

    def still(self, a: Value) -> Value:
        """A graph has no gradients."""
        return a

    def carried(self, a: Value, by: Value) -> Value:
        """A graph has no gradients."""
        return a
