"""Networks that are functions of JAX, whatever library made them: read from the operations that they do.

A trace of the function is a list of operations. Those that are affine are composed into matrices, up to a product of a
matrix and something that is not affine: there a hidden layer ends, whose units must be one activation of one affine
number each. What follows the last of such layers stays a function, `tail`, of affine outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ._network import Dense, Integer, Network, Real, real
from ._probe import ACTIVATIONS
from ._probe import activation as probe_activation

INLINE = {"jit", "pjit", "closed_call", "core_call", "custom_jvp_call", "custom_vjp_call", "remat", "checkpoint"}
# Affine in all they read, or if but one of their operands is no constant
ALL = {
    "reshape", "transpose", "broadcast_in_dim", "squeeze", "expand_dims", "slice", "rev", "concatenate", "stack",
    "split", "pad", "convert_element_type", "copy", "neg", "add", "add_any", "sub", "reduce_sum", "cumsum",
}  # fmt: skip
ONE = {"mul", "dot_general"}
FIRST = {"div", "gather", "dynamic_slice"}
# Of numbers with constants: what they give is the same number, differently put
SCALAR = {"mul", "div", "add", "sub", "neg", "convert_element_type", "copy"}


class NotDenseError(Exception):
    """The function is no network of dense layers: its `ConversionError` in the making."""


INPUTS = 0  # the group of what the network reads


@dataclass(frozen=True)
class Affine:
    """An array bias + Σ weights[group] units, of groups of units of one depth, and perhaps the inputs besides."""

    depth: int
    bias: Real
    weights: dict[int, Real]  # [*shape, units of the group]


@dataclass(eq=False)
class Value:
    """An array that is no constant: an operation on others, perhaps affine in units."""

    apply: Callable[..., Any]
    operands: Sequence[Any]
    affine: Affine | None = None
    same: Value | None = None  # of which it is a number times a constant, or plus one

    def at(self, known: dict[Value, Any]) -> Any:
        """What it is where others are known."""
        if self not in known:
            known[self] = self.apply(*(each.at(known) if isinstance(each, Value) else each for each in self.operands))
        return known[self]


Tail = Callable[[Any], list[Any]]


def numbers(function: Callable[[Any], Any], size: int) -> Integer:
    """Which one of `size` numbers each output of a function depends on, or -1."""
    import jax

    jacobian = jax.jit(jax.jacfwd(function))
    at = np.random.default_rng(0).uniform(0.3, 1.2, size)
    # Near and far, on both sides: what is clipped depends on nothing there.
    depends = np.any([np.asarray(jacobian(factor * at)) != 0 for factor in (1.0, -1.0, 0.1, -0.1)], axis=0)
    if (depends.sum(axis=1) > 1).any():
        raise NotDenseError("what should depend on one output of the network depends on several")
    return np.where(depends.any(axis=1), np.argmax(depends, axis=1), -1) if size else np.full(len(depends), -1)


@dataclass
class Trace:
    """The units found so far: the rows that each group of them computes its activation of."""

    rows: dict[int, Affine] = field(default_factory=dict)
    sizes: dict[int, int] = field(default_factory=dict)
    activations: dict[int, str] = field(default_factory=dict)
    dtypes: set[str] = field(default_factory=set)
    closed: dict[Value, Value] = field(default_factory=dict)

    def units(self, depth: int, shape: Sequence[int]) -> Value:
        """New units of some depth, as an array."""
        size = int(np.prod(shape))
        group = len(self.sizes)
        self.sizes[group] = size
        identity = np.eye(size).reshape(*shape, size)
        return Value(_unknown, (), Affine(depth, np.zeros(shape), {group: identity}))

    def run(self, jaxpr: Any, consts: Sequence[Any], arguments: Sequence[Any]) -> list[Any]:
        """The outputs of a traced function."""
        known = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*consts, *arguments], strict=True))

        def of(atom: Any) -> Any:
            return atom.val if hasattr(atom, "val") else known[atom]

        for eqn in jaxpr.eqns:
            found = self.operation(eqn, [of(atom) for atom in eqn.invars])
            known.update(zip(eqn.outvars, found, strict=True))
        return [of(atom) for atom in jaxpr.outvars]

    def operation(self, eqn: Any, operands: list[Any]) -> list[Any]:
        """What an operation gives."""
        name = eqn.primitive.name
        inner = eqn.params.get("jaxpr", eqn.params.get("call_jaxpr"))
        if name in INLINE and inner is not None:
            return self.run(getattr(inner, "jaxpr", inner), getattr(inner, "consts", ()), operands)

        def apply(*values: Any) -> Any:
            return eqn.primitive.bind(*values, **eqn.params)

        variable = [isinstance(each, Value) for each in operands]
        several = eqn.primitive.multiple_results
        if not any(variable):
            found = apply(*operands)
            return list(found) if several else [found]
        if name == "dot_general" and sum(variable) == 1:
            operands = [self.layer(each) if isinstance(each, Value) else each for each in operands]
            self.dtypes |= {str(each.dtype) for each in operands if not isinstance(each, Value)}
        affine: list[Affine | None] = [None] * len(eqn.outvars)
        if _is_affine(name, variable) and (terms := _of_one_depth(operands)):
            affine = list(_composed(apply, operands, terms, several))
        same = None
        others = [each for each, v in zip(operands, variable, strict=True) if not v]
        if name in SCALAR and sum(variable) == 1 and all(np.ndim(each) == 0 for each in others):
            same = operands[variable.index(True)]
        if not several:
            return [Value(apply, operands, affine[0], same)]
        whole = Value(apply, operands)
        return [Value(lambda all, i=i: all[i], [whole], each) for i, each in enumerate(affine)]

    def layer(self, value: Value) -> Value:
        """A value that a matrix multiplies: if it is not affine, the units of a hidden layer."""
        if value.affine is not None:
            return value
        if value not in self.closed:
            outputs, tail = self.outputs([value])
            rows, size = _flat(outputs), sum(outputs.sizes)
            depends = numbers(lambda y: tail(y)[0].ravel(), size)
            if (depends < 0).any():
                raise NotDenseError("a hidden unit is constant")
            name = _activation(tail, size)
            shape = np.shape(tail(np.zeros(size))[0])
            if outputs.depth and np.any(rows.weights.get(INPUTS, 0)):
                raise NotDenseError("a hidden layer reads the inputs besides: it is no chain of dense layers")
            made = self.units(outputs.depth + 1, shape)
            assert made.affine is not None
            (group,) = made.affine.weights
            self.activations[group] = name
            self.rows[group] = Affine(
                outputs.depth, rows.bias[depends], {g: w[depends] for g, w in rows.weights.items()}
            )
            self.closed[value] = made
        return self.closed[value]

    def outputs(self, values: Sequence[Any]) -> tuple[Outputs, Tail]:
        """The affine numbers that values depend on, and the values as a function of these."""
        import jax.numpy as jnp

        ends = _together(_nearest(values))
        depths = {end.affine.depth for end in ends if end.affine is not None} - {0}
        if len(depths) > 1:
            raise NotDenseError("layers of different depths meet: it is no chain of dense layers")
        found = Outputs([end.affine for end in ends if end.affine is not None], depths.pop() if depths else 0)
        cuts, shapes = np.cumsum([0, *found.sizes]), [each.bias.shape for each in found.parts]

        def tail(y: Any) -> list[Any]:
            known = {
                end: jnp.reshape(y[i:j], shape)
                for end, i, j, shape in zip(ends, cuts[:-1], cuts[1:], shapes, strict=True)
            }
            return [jnp.asarray(each.at(known) if isinstance(each, Value) else each) for each in values]

        return found, tail

    def dense(self, last: Affine) -> tuple[list[Dense], set[str], Dense | None]:
        """All layers that end with these rows, and what is direct; a weight of 0 is taken to be hidden by a mask."""
        layers: list[Dense] = []
        names: set[str] = set()
        rows, direct = last, real(last.weights.get(INPUTS, 0) if last.depth else 0)
        while True:
            groups = sorted(set(rows.weights) - {INPUTS}) if rows.depth else [INPUTS]
            weight = np.concatenate([rows.weights[group] for group in groups], axis=1)
            layers.insert(0, Dense.of(weight, rows.bias, weight != 0))
            if rows.depth == 0:
                return layers, names, Dense.of(direct, mask=direct != 0) if direct.any() else None
            names |= {self.activations[group] for group in groups}
            rows = _stack([self.rows[group] for group in groups], self.sizes)


@dataclass
class Outputs:
    """Affine arrays of one depth."""

    parts: list[Affine]
    depth: int

    @property
    def sizes(self) -> list[int]:
        """How many numbers each has."""
        return [each.bias.size for each in self.parts]


def read(function: Callable[[Any], Sequence[Any]], inputs: int, context: int = 0) -> tuple[Network, Tail, set[str]]:
    """A network and a tail that compute what a function of its inputs and the context does; and dtypes of weights.

    All numbers that the network gives are numbers that the tail reads, one after the other.
    """
    import jax

    traced = jax.make_jaxpr(function)(np.zeros(inputs + context))
    trace = Trace()
    x = trace.units(0, (inputs + context,))
    outputs, tail = trace.outputs(trace.run(traced.jaxpr, traced.consts, [x]))
    if not outputs.parts:  # they depend on nothing
        nothing = Dense.of(np.zeros((1, inputs + context)))
        return Network((nothing,), context=context), lambda y: tail(y[:0]), set()
    dense, activations, direct = trace.dense(_flat(outputs, trace.sizes))
    if len(activations) > 1:
        raise NotDenseError(f"it has several activations: {', '.join(sorted(activations))}")
    network = Network(tuple(dense), next(iter(activations), "relu"), context, direct=direct)
    return network, tail, trace.dtypes


def _unknown(*values: Any) -> Any:
    raise AssertionError("units are known where they are asked for")


def _is_affine(name: str, variable: list[bool]) -> bool:
    if name in ONE:
        return sum(variable) == 1
    if name in FIRST:
        return variable[0] and sum(variable) == 1
    return name in ALL or (name == "select_n" and not variable[0])


def _of_one_depth(operands: Sequence[Any]) -> list[Affine] | None:
    """The operands that are no constants, if they are affine in units of one depth and the inputs."""
    terms = [each.affine for each in operands if isinstance(each, Value)]
    found = [each for each in terms if each is not None]
    return found if len(found) == len(terms) and len({each.depth for each in found} - {0}) <= 1 else None


def _composed(apply: Callable[..., Any], operands: Sequence[Any], terms: list[Affine], several: bool) -> list[Affine]:
    """An affine operation on affine operands: JAX has its linear part."""
    import jax

    def of_terms(*values: Any) -> list[Any]:
        left = iter(values)
        found = apply(*(next(left) if isinstance(each, Value) else each for each in operands))
        return list(found) if several else [found]

    bias, push = jax.linearize(of_terms, *(jax.numpy.asarray(each.bias) for each in terms))
    weights: list[dict[int, Real]] = [{} for _ in bias]
    for group in sorted({group for each in terms for group in each.weights}):
        size = next(each.weights[group].shape[-1] for each in terms if group in each.weights)
        columns = [each.weights.get(group, np.zeros((*each.bias.shape, size))) for each in terms]
        for i, found in enumerate(jax.vmap(push, in_axes=-1, out_axes=-1)(*columns)):
            weights[i][group] = real(found)
    depth = max(each.depth for each in terms)
    return [Affine(depth, real(b), w) for b, w in zip(bias, weights, strict=True)]


def _nearest(values: Sequence[Any]) -> list[Value]:
    """The affine values through which others depend on units."""
    found: dict[Value, None] = {}
    seen: set[Value] = set()
    left = [each for each in reversed(values) if isinstance(each, Value)]
    while left:
        value = left.pop()
        if value in seen:
            continue
        seen.add(value)
        if value.affine is not None:
            found[value] = None
        else:
            left += [each for each in reversed(value.operands) if isinstance(each, Value)]
    return list(found)


def _together(values: list[Value]) -> list[Value]:
    """Those that are multiples of one value are that value: x and 0.01 x in a leaky ReLU."""

    def line(value: Value) -> list[Value]:
        found = [value]
        while found[-1].same is not None and found[-1].same.affine is not None:
            found.append(found[-1].same)
        return found

    kin: dict[Value, list[list[Value]]] = {}
    for value in values:
        found = line(value)
        kin.setdefault(found[-1], []).append(found)
    return [next(each for each in lines[0] if all(each in other for other in lines)) for lines in kin.values()]


def _flat(outputs: Outputs, sizes: dict[int, int] | None = None) -> Affine:
    parts = [
        Affine(each.depth, each.bias.ravel(), {g: w.reshape(-1, w.shape[-1]) for g, w in each.weights.items()})
        for each in outputs.parts
    ]
    return _stack(parts, sizes)


def _stack(parts: Sequence[Affine], sizes: dict[int, int] | None = None) -> Affine:
    """Rows one after the other."""
    known = dict(sizes or {})
    for each in parts:
        known |= {group: w.shape[-1] for group, w in each.weights.items()}
    groups = sorted({group for each in parts for group in each.weights})
    weights = {
        group: np.concatenate([each.weights.get(group, np.zeros((len(each.bias), known[group]))) for each in parts])
        for group in groups
    }
    depth = max(each.depth for each in parts)
    return Affine(depth, np.concatenate([each.bias for each in parts]), weights)


def _activation(tail: Tail, size: int) -> str:
    """The one function that all units are."""
    import jax

    def all_units(a: Real) -> Real:
        return real(jax.vmap(lambda each: tail(each * np.ones(size))[0].ravel())(a))

    def function(a: Real) -> Real:
        values = all_units(a)
        if not np.allclose(values, values[:, :1], rtol=1e-9, atol=1e-12):
            raise NotDenseError("the units of a layer have different activations")
        return np.array(values[:, 0])

    name = probe_activation(function)
    if name is None:
        raise NotDenseError(f"the activation is none of {', '.join(ACTIVATIONS)}")
    return name
