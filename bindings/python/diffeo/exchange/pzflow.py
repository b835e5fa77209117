"""pzflow 4: Crenshaw et al. 2024. A chain of functions from data to noise, which say by name what they are.

Splines are those of Durkan et al. (2019) from -B to B with minima of 0 and derivatives softplus(a), their networks have
leaky ReLUs. Functions are made anew in float64, by name and arguments: in the flow they may have constants in float32.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from . import _layers
from ._check import Map, Mapped, Source, Step, both_ways
from ._error import ConversionError
from ._layers import Layer
from ._network import Dense, Network, Real, inverse_softplus, real
from ._probe import softplus
from .flowjax import computed_in, double, in_double, in_float32, single

MODULES = ("pzflow",)


def _spline(arguments: Any, parameters: Any, dim: int, context: int) -> list[Layer]:
    """The last columns, of the first ones and as many of the context as it was made for."""
    bins, bound, _, _, moved, conditions, *more = arguments
    periodic = bool(more and more[0])
    moved = dim - dim // 2 if moved is None else moved
    dense = [Dense.of(real(each[0]).T, real(each[1])) for each in parameters if len(each)]
    network = Network(tuple(dense), "leaky_relu", conditions)
    if conditions and conditions < context:
        index = np.concatenate([np.arange(dim - moved + conditions), np.full(context - conditions, -1)])
        network = Network((dense[0].columns(index), *dense[1:]), "leaky_relu", context)
    # Of a periodic one the last derivative is that at both ends, which is our first.
    inner = np.roll(np.arange(bins), 1) if periodic else np.arange(bins - 1)
    one = np.concatenate([np.arange(2 * bins), 2 * bins + inner])
    index = (np.arange(moved)[:, None] * len(one) + one).ravel()
    offset = np.where(np.arange(len(one)) < 2 * bins, 0.0, -np.log(np.expm1(1.0)))
    words = {"min_width": 0.0, "min_height": 0.0, "min_derivative": 0.0} | ({"encoding": "numbers"} if periodic else {})
    transformer = _layers.spline(bins, -bound, bound, "periodic" if periodic else "linear", **words)
    network = network.select(index, 1.0, np.tile(offset, moved))
    return [_layers.coupling(np.arange(dim) < dim - moved, transformer, network)]


def _softplus(arguments: Any, parameters: Any, dim: int, context: int) -> list[Layer]:
    """log(exp(k x) - 1) / k."""
    columns, sharpness = (np.atleast_1d(each) for each in arguments)
    log_k = np.zeros(dim)
    log_k[columns] = np.log(sharpness)
    scaled = _layers.elementwise_affine(log_k, np.zeros(dim))
    return [scaled, _layers.domain("softplus", np.sort(columns), low=0.0), scaled.inverted()]


NONLINEAR: dict[str, Callable[[Any, Any, int, int], list[Layer]]] = {
    "NeuralSplineCoupling": _spline,
    "InvSoftplus": _softplus,
}
NOISY = ("UniformDequantizer", "Beta13Dequantizer")


def _exact_softplus(columns: Any, sharpness: Any) -> tuple[Map, Map]:
    """Its own maps by formulas that do not lose the digits of small numbers."""

    def forward(x: Real, context: Real | None) -> Mapped:
        z, at = x.copy(), sharpness * x[:, columns]
        z[:, columns] = inverse_softplus(at) / sharpness
        return z, -np.log(-np.expm1(-at)).sum(axis=1)

    def backward(z: Real, context: Real | None) -> Mapped:
        x, at = z.copy(), sharpness * z[:, columns]
        x[:, columns] = softplus(at) / sharpness
        return x, -softplus(-at).sum(axis=1)

    return forward, backward


def _linear(forward: Map, backward: Map, dim: int) -> Layer:
    """Of a map that is affine, by what it computes: constants of columns stay constants, which are not trained."""
    zero = np.zeros((1, dim))
    matrix = (forward(np.eye(dim), None)[0] - forward(zero, None)[0]).T
    order = np.argmax(np.abs(matrix), axis=1)
    if np.array_equal(matrix, np.eye(dim)[order]):
        return _layers.permutation(order)
    if (np.diag(matrix) > 0).all() and np.count_nonzero(matrix) == dim:
        back, mean = (backward(each, None)[0] for each in (np.eye(dim), zero))
        return _layers.standardize(mean[0], np.diag(back - mean).copy())
    return _layers.linear(matrix, forward(zero, None)[0][0])


def _base(latent: Any, parameters: Any) -> Layer:
    """What noise is: its `info` is its name and arguments."""
    name, (dim, *bound) = latent.info
    match name:
        case "Normal":
            return Layer("standard_normal")
        case "Uniform":
            return Layer("uniform", {"low": -float(bound[0]), "high": float(bound[0])})
        case "CentBeta13" | "CentBeta":
            a, b = (13.0, 13.0) if name == "CentBeta13" else np.exp(real(parameters)).T
            values = {key: np.array(np.broadcast_to(real(v), dim)) for key, v in (("alpha", a), ("beta", b))}
            return Layer("beta", {"low": -float(bound[0]), "high": float(bound[0])}, parameters=values)
    raise ConversionError("latent", latent, f"Diffeo has no base distribution as its {name}")


# ---------------------------------------------------------------------------------------------------------------- flow


def _map(function: Any, parameters: Any, periodic: float = 0.0) -> Map:
    """One of its functions; beyond a period they lead in by another way than by whole turns, where no data is."""

    def run(x: Real, context: Real | None) -> Mapped:
        import jax.numpy as jnp

        with double():
            given = np.zeros((len(x), 1)) if context is None else context
            z, log_det = function(single(parameters), jnp.asarray(x), conditions=given)
        z = real(z)
        return np.where((np.abs(x) < periodic).all(axis=1, keepdims=True), z, np.nan) if periodic else z, real(log_det)

    return run


def _leaves(info: Any, parameters: Any, forward: Any, path: str) -> Iterator[tuple[Any, Any, Any, str]]:
    """The functions of a chain that are no chains: name and arguments, parameters, the function, and where it is."""
    if info[0] != "Chain":
        yield info, parameters, forward, path
        return
    parts = inspect.getclosurevars(forward._func).nonlocals["forward_funs"]
    for i, (each, values, function) in enumerate(zip(info[1], parameters, parts, strict=True)):
        yield from _leaves(each, values, function, f"{path}[{i}]")


def _argument(value: Any) -> Any:
    """An argument of a function in what is computed in; of one number as such, which these functions ask for."""
    if not np.issubdtype(np.asarray(value).dtype, np.floating):
        return value
    return float(np.ravel(value)[0]) if np.size(value) == 1 else np.asarray(value, computed_in())


def _made(info: Any, dim: int) -> tuple[Any, Any]:
    """Forward and inverse of a function, made anew in what is computed in."""
    from jax.random import PRNGKey
    from pzflow.utils import build_bijector_from_info

    name, arguments = info
    with double():
        made = build_bijector_from_info((name, tuple(map(_argument, arguments))))[0](PRNGKey(0), dim)
    return made[1], made[2]


def _step(info: Any, parameters: Any, function: Any, path: str, dim: int, context: int) -> Step:
    name, arguments = info
    if name in NOISY:
        reason = "it adds noise of a fixed seed: hand over the flow without it, and to that numbers with your noise"
        raise ConversionError(path, name, reason)
    forward, inverse = _made(info, dim)
    maps = _map(forward, parameters), _map(inverse, parameters)
    if name == "Shuffle":  # by a seed that nobody has kept
        order = np.asarray(inspect.getclosurevars(function._func).nonlocals["perm"])
        back, zero = np.argsort(order), np.zeros
        maps = (lambda x, _: (x[:, order], zero(len(x)))), (lambda z, _: (z[:, back], zero(len(z))))
    if name == "InvSoftplus":
        maps = _exact_softplus(*map(np.atleast_1d, arguments))
    if name not in NONLINEAR:
        return Step(path, name, [_linear(*maps, dim)], *maps)
    if name == "NeuralSplineCoupling" and len(arguments) > 6 and arguments[6]:
        maps = _map(forward, parameters, arguments[1]), maps[1]
    return Step(path, name, NONLINEAR[name](arguments, parameters, dim, context), *maps)


def source(flow: Any) -> Source:
    """What a Flow is: conditions are standardised by constants beside its functions."""
    if flow._bijector_info is None:
        raise ConversionError("", flow, "it has no bijector yet")
    dim, context = flow._input_dim, len(flow.conditional_columns or ())
    (noise, values), dtype = in_double(flow._params)
    parts = list(_leaves(flow._bijector_info, values, flow._forward, "bijector"))
    steps = [_step(*part, dim, context) for part in parts]
    to_noise, from_noise = both_ways(steps)
    mean, std = (np.zeros(0) if not context else real(each) for each in (flow._condition_means, flow._condition_stds))

    def given(context: Real | None) -> Real | None:
        return None if context is None else (context - mean) / std

    def fed(function: Map) -> Map:
        return lambda x, context: function(x, given(context))

    def base_log_prob(z: Real, context: Real | None) -> Real:
        with double():
            return real(flow.latent.log_prob(noise, z))

    def log_prob(x: Real, context: Real | None) -> Real:
        z, log_det = to_noise(x, given(context))
        return base_log_prob(z, context) + log_det

    def own(x: Real, context: Real | None) -> Real:
        import jax.numpy as jnp

        conditions = np.zeros((len(x), 1)) if context is None else given(context)
        with double():
            z, total = jnp.asarray(x), 0.0
            for info, parameters, function, _ in parts:
                forward = function if info[0] == "Shuffle" else _made(info, dim)[0]
                z, log_det = forward(single(parameters), z, conditions=conditions)
                total = total + log_det
            found = real(flow.latent.log_prob(single(noise), z) + total)
        return np.where(np.isnan(found), -np.inf, found)  # as it says where it has no number

    base = _base(flow.latent, noise)
    made = Source("pzflow", "Flow", dim, steps, base, log_prob, base_log_prob, fed(to_noise), fed(from_noise), dtype)
    made.in_float32, made.context = in_float32(own), context
    if context:
        made.context_layer, made.contexts = _layers.standardize(mean, std), (mean, np.diag(std))
    return made
