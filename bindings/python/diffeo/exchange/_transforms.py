"""Fixed transforms of torch.distributions, which flows of Pyro and of zuko have among their layers.

Readers give the steps of a transform in the direction in which it is called.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from . import _layers
from ._check import Map, Step, reverse
from ._error import ConversionError
from ._layers import Layer
from ._network import real
from ._torch import INVERSES, Reader, array, mapped, read


def _given(part: Any, context: Any) -> Any:
    return part.condition(context) if hasattr(part, "condition") else part


def _sum(log_det: Any, x: Any, event_dim: int = 1) -> Any:
    """Of each row; that of a map of numbers is one for each number, or for each column."""
    return log_det.expand(len(x)) if event_dim else log_det.expand(x.shape).sum(dim=1)


def _maps(part: Any) -> tuple[Map, Map]:
    """Without Pyro's memory of its last results."""

    def forward(x: Any, context: Any) -> Any:
        transform = _given(part, context)
        y = transform(x)
        return y, _sum(transform.log_abs_det_jacobian(x, y), x, transform.domain.event_dim)

    def backward(y: Any, context: Any) -> Any:
        transform = _given(part, context)
        try:
            x = transform._inverse(y)
        except KeyError as error:
            raise NotImplementedError(str(error)) from error
        return x, -_sum(transform.log_abs_det_jacobian(x, transform(x)), x, transform.domain.event_dim)

    return mapped(forward), mapped(backward)


def leaf(part: Any, path: str, *layers: Layer) -> list[Step]:
    """A step of layers that run as the transform does."""
    return [Step(path, part, list(layers), *_maps(part))]


def _constants(*values: Any) -> Any:
    return np.broadcast_arrays(*(array(v) if hasattr(v, "detach") else real(v) for v in values))


def _affine(part: Any, path: str) -> list[Step]:
    loc, scale = _constants(part.loc, part.scale)
    if not scale.all():
        raise ConversionError(path, part, "its scale is 0")
    return leaf(part, path, _layers.scaling(scale, loc))


def _power(part: Any, path: str) -> list[Step]:
    (exponent,) = _constants(part.exponent)
    if not exponent.all():
        raise ConversionError(path, part, "its exponent is 0")
    return leaf(part, path, *_layers.power(exponent))


def _tanh(part: Any, path: str) -> list[Step]:
    """tanh(x) is 2 sigmoid(2 x) - 1."""
    doubled = _layers.elementwise_affine(np.log(2), 0)
    return leaf(part, path, doubled, _layers.domain("logit", low=-1, high=1).inverted())


def _cumulative(part: Any, path: str) -> list[Step]:
    inside = part.distribution
    while hasattr(inside, "base_dist"):
        inside = inside.base_dist
    if type(inside).__name__ != "Normal":
        raise ConversionError(path, part, "only the distribution function of Normal converts")
    loc, scale = _constants(inside.loc, inside.scale)
    standard = _layers.elementwise_affine(-np.log(scale), -loc / scale)
    return leaf(part, path, standard, _layers.domain("probit", low=0, high=1).inverted())


def chain(table: dict[str, Reader], parts: Any, path: str) -> list[Step]:
    """One after the other."""
    return [step for i, each in enumerate(parts) for step in read(table, each, f"{path}.{i}")]


def with_holders(table: dict[str, Reader]) -> dict[str, Reader]:
    """A table, and what holds transforms that it has."""

    def inverse(part: Any, path: str) -> list[Step]:
        return reverse(read(table, part._inv, f"{path}._inv"))

    def side_by_side(part: Any, path: str) -> list[Step]:
        if part.dim not in (-1, 1):
            raise ConversionError(path, part, f"its dim is {part.dim}; that of the columns, -1, converts")
        stacked = not hasattr(part, "lengths")
        ends = np.cumsum([1] * len(part.transforms) if stacked else part.lengths)
        parts, steps = zip(part.transforms, np.split(np.arange(ends[-1]), ends[:-1]), strict=True), []
        for i, (each, columns) in enumerate(parts):
            where = f"{path}.transforms.{i}"
            if stacked and each.domain.event_dim:
                raise ConversionError(where, each, "a stack hands it numbers, and it is a map of vectors")
            steps += [step.on(columns, int(ends[-1])) for step in read(table, each, where)]
        return steps

    table |= {
        "ComposeTransform": lambda part, path: chain(table, part.parts, f"{path}.parts"),
        "IndependentTransform": lambda part, path: read(table, part.base_transform, f"{path}.base_transform"),
        **dict.fromkeys(INVERSES, inverse),
        **dict.fromkeys(("CatTransform", "StackTransform"), side_by_side),
    }
    return table


TABLE = with_holders(
    {
        "AffineTransform": _affine,
        "LeakyReLUTransform": lambda part, path: leaf(part, path, _layers.domain("leaky_relu", slope=0.01)),
        "SigmoidTransform": lambda part, path: leaf(part, path, _layers.domain("logit", low=0, high=1).inverted()),
        "ExpTransform": lambda part, path: leaf(part, path, _layers.domain("log", low=0).inverted()),
        "SoftplusTransform": lambda part, path: leaf(part, path, _layers.domain("softplus", low=0).inverted()),
        "TanhTransform": _tanh,
        "PowerTransform": _power,
        "CumulativeDistributionTransform": _cumulative,
    }
)
