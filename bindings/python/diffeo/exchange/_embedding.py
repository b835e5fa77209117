"""Embedding networks of PyTorch libraries, as one network of the context."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np

from ._error import ConversionError
from ._network import Dense, Network, Norm, Real
from ._probe import ACTIVATIONS
from ._torch import array, double, is_linear, linear, plain, residual_networks, tensor, values


@dataclass(frozen=True)
class Affine:
    """What a part computes: matrix x + shift."""

    matrix: Real
    shift: Real

    def then(self, after: Affine) -> Affine:
        """Both, one after the other."""
        return Affine(after.matrix @ self.matrix, after.matrix @ self.shift + after.shift)

    @property
    def dense(self) -> Dense:
        """As a layer of a network."""
        return Dense.of(self.matrix, self.shift)


@dataclass(frozen=True)
class LayerNorm:
    """Normalisation over the units, and scale and shift of each."""

    epsilon: float
    norm: Norm


# Words in the names of modules that are no networks of dense layers
UNKNOWN = ("Conv", "LSTM", "GRU", "RNN", "Attention", "Transformer")
# The parts of an embedding in a row: an activation by its name
Part: TypeAlias = Affine | LayerNorm | str | Network
Reader: TypeAlias = Callable[[Any, str], "Network | None"]


def embedding(net: Any, inputs: int, residual: Reader, path: str) -> tuple[Affine | None, Network]:
    """What an embedding is, by what it computes of `inputs` columns: a standardisation, if it begins so, and a network.

    Containers are opened; other affine parts (batch normalisation, linear layers) go into the matrices beside them.
    `residual` gives the networks that the library has classes for, None for others.
    """
    try:
        return _embedding(net, inputs, residual, path)
    except ConversionError as error:
        advice = "give the flow without it what it makes of the context"
        raise ConversionError(error.path, error.kind, f"{error.reason}; as an embedding: {advice}") from error


def _embedding(net: Any, inputs: int, residual: Reader, path: str) -> tuple[Affine | None, Network]:
    for name, module in net.named_modules():
        if any(each in type(module).__name__ for each in UNKNOWN):
            raise ConversionError(f"{path}.{name}".rstrip("."), module, "it is no part of a network of dense layers")
    parts = list(_parts(net, inputs, residual, path))
    found = _joined(parts, inputs, net, path)
    if isinstance(found, Network):
        _check(found, net, inputs, path)
        first = parts[0] if isinstance(parts[0], Affine) and is_scale(parts[0].matrix) else None
        return first, found if first is None else _joined_network(parts[1:], inputs, net, path)
    raise ConversionError(path, net, "it is affine, but not by what it computes")


def is_scale(matrix: Real) -> bool:
    """Whether it multiplies each column by a positive number."""
    scale = np.diag(matrix)
    square = matrix.shape[0] == matrix.shape[1]
    return square and np.array_equal(matrix, np.diag(scale)) and bool((scale > 0).all())


def _joined_network(parts: list[Part], inputs: int, net: Any, path: str) -> Network:
    found = _joined(parts, inputs, net, path)
    assert isinstance(found, Network)
    return found


def inputs_of(net: Any, otherwise: int) -> int:
    """Columns that it reads: those of its first matrix."""
    first = next((module for module in net.modules() if is_linear(module)), None)
    return otherwise if first is None else int(first.weight.shape[1])


def _parts(net: Any, width: int, residual: Reader, path: str) -> Iterator[Part]:
    for module, where in _opened(net, path):
        x = np.random.default_rng(0).normal(size=(32, width))
        y = _called(module, x, where)
        width = y.shape[1]
        yield (
            _affine(module, x, y, where)
            or _activation(x, y)
            or _layer_norm(module, x, y)
            or residual(module, where)
            or _block(module, x, y)
            or _plain(module, x, y, where)
        )


def _opened(net: Any, path: str) -> Iterator[tuple[Any, str]]:
    """What containers hold that do nothing but call it in turn."""
    from torch.nn import Sequential

    if type(net).forward is Sequential.forward:
        for i, module in enumerate(net):
            yield from _opened(module, f"{path}.{i}")
    elif type(net).__name__ not in ("Identity", "Dropout", "Flatten"):
        yield net, path


def _called(module: Any, x: Real, path: str) -> Real:
    try:
        with double():
            y = array(module(tensor(x)))
    except (TypeError, ValueError, RuntimeError, IndexError) as error:
        raise ConversionError(path, module, f"it is no network of rows of {x.shape[1]} numbers: {error}") from error
    if y.ndim != 2 or len(y) != len(x):
        raise ConversionError(path, module, f"it makes an array of shape {y.shape} of rows of shape {x.shape}")
    return y


def _affine(module: Any, x: Real, y: Real, path: str) -> Affine | None:
    far = 1024.0 * np.eye(x.shape[1])
    at = _called(module, np.concatenate([np.zeros((1, x.shape[1])), far, -far]), path)
    count = x.shape[1]
    shift, matrix = at[0], (at[1 : count + 1] - at[count + 1 :]).T / 2048
    if np.allclose(y, x @ matrix.T + shift, rtol=1e-9, atol=1e-9):
        return Affine(matrix, shift)
    return None


def _activation(x: Real, y: Real) -> str | None:
    if x.shape != y.shape:
        return None
    return next((name for name, f in ACTIVATIONS.items() if np.allclose(f(x), y, rtol=1e-9, atol=1e-9)), None)


def _layer_norm(module: Any, x: Real, y: Real) -> LayerNorm | None:
    if x.shape != y.shape or not hasattr(module, "eps"):
        return None
    weight, bias = (getattr(module, name, None) for name in ("weight", "bias"))
    norm = (
        np.ones(x.shape[1]) if weight is None else array(weight),
        np.zeros(x.shape[1]) if bias is None else array(bias),
    )
    normal = (x - x.mean(axis=1, keepdims=True)) / np.sqrt(x.var(axis=1, keepdims=True) + module.eps)
    if np.allclose(norm[0] * normal + norm[1], y, rtol=1e-9, atol=1e-9):
        return LayerNorm(float(module.eps), norm)
    return None


def _block(module: Any, x: Real, y: Real) -> Network | None:
    """What adds one hidden layer to what it reads, as a residual network of one block."""
    dense = [linear(each) for each in module.modules() if is_linear(each)]
    if x.shape != y.shape or len(dense) != 2:
        return None
    same = _identity(x.shape[1])
    for name, f in ACTIVATIONS.items():
        for found in residual_networks([same, *dense, same], name):
            if np.allclose(values(found, f, x), y, rtol=1e-8, atol=1e-8):
                return found
    return None


def _plain(module: Any, x: Real, y: Real, path: str) -> Network:
    """A chain of linear layers, whatever its code looks like; perhaps with the activation behind the last one, too."""
    dense = [linear(each) for each in module.modules() if is_linear(each)]
    for name, f in ACTIVATIONS.items():
        h = x
        try:
            for d in dense:
                h = f(d(h))
        except ValueError:
            break
        if dense and h.shape == y.shape and np.allclose(h, y, rtol=1e-8, atol=1e-8):
            return Network((*dense, _identity(len(dense[-1].bias))), name)
    return plain(module, x.shape[1], path)


def _identity(width: int) -> Dense:
    return Dense.of(np.eye(width))


def _joined(parts: list[Part], inputs: int, net: Any, path: str) -> Affine | Network:
    """One network of all of them."""
    whole: Affine | Network = Affine(np.eye(inputs), np.zeros(inputs))
    norm: LayerNorm | None = None
    for part in parts:
        if norm is not None and not isinstance(part, str):
            raise ConversionError(path, net, "behind its layer normalisation there is no activation")
        if isinstance(part, LayerNorm):
            norm = part
        elif isinstance(part, str):
            whole = _activated(whole, part, norm, net, path)
            norm = None
        else:
            whole = _followed(whole, part, net, path)
    if norm is not None:
        raise ConversionError(path, net, "it ends with a layer normalisation")
    return whole


def _followed(first: Affine | Network, then: Affine | Network, net: Any, path: str) -> Affine | Network:
    if isinstance(first, Affine):
        if isinstance(then, Affine):
            return first.then(then)
        matrix, shift = first.matrix, first.shift
        return then.with_first(lambda d: Dense.of(d.weight @ matrix, d.bias + d.weight @ shift))
    if isinstance(then, Affine):
        matrix, shift = then.matrix, then.shift
        return first.with_last(lambda d: Dense.of(matrix @ d.weight, matrix @ d.bias + shift))
    if first.kind == then.kind and first.activation == then.activation and not first.layer_norm:
        last, begin = first.dense[-1], then.dense[0]
        between = Affine(last.weight, last.bias).then(Affine(begin.weight, begin.bias))
        if first.kind == "plain":
            return replace(first, dense=(*first.dense[:-1], between.dense, *then.dense[1:]))
        if between.matrix.shape[0] != between.matrix.shape[1] or _changes_nothing(between):
            link = None if _changes_nothing(between) else between.dense
            blocks = (*first.blocks, replace(then.blocks[0], link=link), *then.blocks[1:])
            return replace(first, dense=(first.dense[0], then.dense[-1]), blocks=blocks)
        raise ConversionError(path, net, "between two residual blocks of one width there is a linear layer")
    raise ConversionError(path, net, "it is two networks, one behind the other, of different kinds or activations")


def _changes_nothing(part: Affine) -> bool:
    return np.array_equal(part.matrix, np.eye(len(part.shift))) and not part.shift.any()


def _activated(whole: Affine | Network, name: str, norm: LayerNorm | None, net: Any, path: str) -> Network:
    """With an activation behind it: what is read of that is a matrix, at first one that changes nothing."""
    if isinstance(whole, Affine):
        whole = Network((whole.dense,), name, layer_norm=0.0 if norm is None else norm.epsilon)
    if whole.kind != "plain":
        raise ConversionError(path, net, "an activation follows on residual blocks")
    hidden = len(whole.dense) - 1
    if hidden and whole.activation != name:
        raise ConversionError(path, net, f"it has several activations: {whole.activation} and {name}")
    if (0.0 if norm is None else norm.epsilon) != whole.layer_norm:
        raise ConversionError(path, net, "some of its layers are normalised and some are not")
    norms = whole.norms if norm is None else (*whole.norms, norm.norm)
    return replace(whole, activation=name, norms=norms, dense=(*whole.dense, _identity(len(whole.dense[-1].bias))))


def _check(found: Network, net: Any, inputs: int, path: str) -> None:
    """That of a chain which was put together; residual networks are compared with the flow."""
    if found.kind != "plain":
        return
    x = np.random.default_rng(1).normal(size=(32, inputs))
    if not np.allclose(values(found, ACTIVATIONS[found.activation], x), _called(net, x, path), rtol=1e-8, atol=1e-8):
        raise ConversionError(path, net, "it computes something else than its parts one after the other")
