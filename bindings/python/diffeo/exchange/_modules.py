"""What libraries of PyTorch have no class for: maps of one number, layers and bases of docs/weight-file.md."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal, StudentT, constraints
from torch.distributions import Distribution as TorchDistribution

from . import _formulas
from ._layers import Layer, Transformer
from ._nets import MATHS, Masked, net
from ._read import on_circle
from ._torch import tensor


def mapped(transformer: Transformer, parameters: Any, x: Any, inverse: bool) -> tuple[Any, Any]:
    """What a transformer makes of columns with parameters [..., columns, parameters], and its logarithmic slopes."""
    y, log_slope = _formulas.element_map(MATHS, transformer, parameters, x, inverse)
    return y, log_slope.expand_as(y)


class Circle(nn.Module):  # type: ignore[misc]
    """A network that reads cosine and sine of angles in place of these."""

    hidden_features = 1

    def __init__(self, inside: Any, transformer: Transformer, columns: int) -> None:
        super().__init__()
        said: dict[str, Any] = dict(transformer.attributes)
        self.net, self.columns, self.low, self.high = inside, columns, said["low"], said["high"]

    def forward(self, x: Any, context: Any = None) -> Any:
        """Its outputs."""
        angle = (x[..., : self.columns] - self.low) * (2 * np.pi / (self.high - self.low))
        both = torch.stack((torch.cos(angle), torch.sin(angle)), dim=-1).flatten(-2)
        return self.net(torch.cat((both, x[..., self.columns :]), dim=-1), context)


def circled(inside: Any, transformer: Transformer, columns: int) -> Any:
    """The network, if it reads angles as one that is given them."""
    return Circle(inside, transformer, columns) if columns and on_circle(transformer) else inside


class Vectors(nn.Module):  # type: ignore[misc]
    """Trained vectors, or those that a network makes of the context."""

    def __init__(self, layer: Layer, names: Sequence[str], shapes: Sequence[tuple[int, ...]], masked: Masked) -> None:
        super().__init__()
        self.shapes, self.net = shapes, None
        if layer.network is not None:
            self.net = net(layer.network, masked)
        else:
            values = [tensor(layer.parameters[name]).reshape(s) for name, s in zip(names, shapes, strict=True)]
            self.values = nn.ParameterList(values)

    def forward(self, context: Any) -> list[Any]:
        """Each with the shape of the context before its own."""
        if self.net is None:
            return list(self.values)
        values = self.net(context)
        parts = values.split([int(np.prod(shape)) for shape in self.shapes], dim=-1)
        return [part.reshape(*values.shape[:-1], *s) for part, s in zip(parts, self.shapes, strict=True)]


class Whole(nn.Module):  # type: ignore[misc]
    """A layer of whole rows without a network of columns: planar, radial, domain, wrap; in both directions."""

    def __init__(self, layer: Layer, dim: int, masked: Masked) -> None:
        super().__init__()
        self.kind, self.dim, self.attributes = layer.kind, dim, dict(layer.attributes)
        if layer.kind == "planar":
            self.vectors = Vectors(layer, ("u", "w", "b"), ((dim,), (dim,), ()), masked)
        elif layer.kind == "radial":
            self.vectors = Vectors(layer, ("x0", "alpha", "beta"), ((dim,), (), ()), masked)
        else:
            for name, values in layer.parameters.items():
                self.register_buffer(name, tensor(values))
            self.constants = tuple(layer.parameters)
            columns = layer.lists.get("columns", np.arange(dim))
            self.register_buffer("columns", torch.from_numpy(np.array(columns, np.int64)))

    def forward(self, x: Any, context: Any = None, inverse: bool = False) -> tuple[Any, Any]:
        """The layer, or its inverse, and the log-determinant."""
        if self.kind == "planar":
            u, w, b = self.vectors(context)
            y, log_det = _formulas.planar(MATHS, u, w, b, x, inverse)
        elif self.kind == "radial":
            x0, alpha, beta = self.vectors(context)
            y, log_det = _formulas.radial(MATHS, self.dim, x0, alpha, beta, x, inverse)
        else:
            constants = {name: getattr(self, name) for name in self.constants}
            if self.kind == "wrap":
                turned = Layer("wrap", self.attributes, parameters=constants)
                inside = _formulas.wrap(MATHS, turned, x[..., self.columns], inverse)
                return x.index_copy(-1, self.columns, inside), x.new_zeros(x.shape[:-1])
            name = str(self.attributes["map"])
            inside, slopes = _formulas.domain(MATHS, name, constants, x[..., self.columns], inverse)
            y, log_det = x.index_copy(-1, self.columns, inside), slopes.sum(dim=-1)
        return y, log_det.expand(y.shape[:-1])


# --------------------------------------------------------------------------------------------------------------- bases


class Logistic(TorchDistribution):  # type: ignore[misc]
    """The standard logistic distribution of each column."""

    has_rsample = True
    arg_constraints: ClassVar[dict[str, Any]] = {}
    support = constraints.real_vector

    def __init__(self, like: Any) -> None:
        self.like = like
        super().__init__(like.shape[:-1], like.shape[-1:], validate_args=False)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        """With more of the same."""
        return Logistic(self.like.expand(*batch_shape, *self.event_shape))

    def log_prob(self, value: Any) -> Any:
        """Of rows."""
        return _formulas.logistic(MATHS, value).sum(dim=-1)

    def rsample(self, sample_shape: Any = ()) -> Any:
        """Rows."""
        u = self.like.new_empty(self._extended_shape(torch.Size(sample_shape))).uniform_()
        return torch.logit(u, eps=torch.finfo(u.dtype).tiny)


class Uniform(TorchDistribution):  # type: ignore[misc]
    """The uniform distribution of each column from low to high, these included; torch's own raises beyond them."""

    has_rsample = True
    arg_constraints: ClassVar[dict[str, Any]] = {}
    support = constraints.real_vector

    def __init__(self, low: Any, high: Any) -> None:
        self.low, self.high = low, high
        super().__init__(low.shape[:-1], low.shape[-1:], validate_args=False)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        """With more of the same."""
        return Uniform(*(each.expand(*batch_shape, *self.event_shape) for each in (self.low, self.high)))

    def log_prob(self, value: Any) -> Any:
        """Of rows; minus infinity beyond."""
        within = (value >= self.low) & (value <= self.high)
        density = torch.where(within, -(self.high - self.low).log() + 0.0 * value, -torch.inf)
        return density.sum(dim=-1)

    def rsample(self, sample_shape: Any = ()) -> Any:
        """Rows."""
        u = self.low.new_empty(self._extended_shape(torch.Size(sample_shape))).uniform_()
        return self.low + (self.high - self.low) * u


class Box(nn.Module):  # type: ignore[misc]
    """A uniform distribution, whose ends move and change their dtype with the flow, which those of torch do not."""

    def __init__(self, low: Any, high: Any) -> None:
        super().__init__()
        self.register_buffer("low", low)
        self.register_buffer("high", high)

    def forward(self, context: Any = None) -> Any:
        """The distribution."""
        return Uniform(self.low, self.high)


class Noise(nn.Module):  # type: ignore[misc]
    """A base, as a distribution of torch given the context."""

    def __init__(self, base: Layer, dim: int, masked: Masked) -> None:
        super().__init__()
        self.kind = base.kind
        count = int(str(base.attributes.get("components", 1)))
        names, shapes = {
            "normal": (("mean", "log_scale"), ((dim,), (dim,))),
            "student_t": (("log_df",), ((dim,),)),
            "mixture": (("logits", "means", "log_scales"), ((count,), (count, dim), (count, dim))),
        }.get(base.kind, ((), ()))
        self.vectors = Vectors(base, names, shapes, masked)
        self.register_buffer("zero", torch.zeros(dim))

    def forward(self, context: Any = None) -> Any:
        """The distribution."""
        values = self.vectors(context)
        match self.kind:
            case "logistic":
                return Logistic(self.zero)
            case "student_t":
                df = values[0].clamp(float(np.log(0.1)), float(np.log(1e8))).exp()
                return Independent(StudentT(df, validate_args=False), 1, validate_args=False)
            case "mixture":
                logits, means, log_scales = values
                each = Independent(Normal(means, log_scales.exp(), validate_args=False), 1, validate_args=False)
                return MixtureSameFamily(Categorical(logits=logits), each, validate_args=False)
        mean, log_scale = values
        return Independent(Normal(mean, log_scale.exp(), validate_args=False), 1, validate_args=False)
