"""Flows inside PyTorch: modules and distributions whose numbers and gradients come from the library.

``import diffeo.torch`` needs PyTorch; flows run on the CPU, in their own dtype. They can be differentiated once. Where
shapes have dim below, those of images have (channels, height, width).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from . import flow as _flow
from ._vjp import Of
from .errors import DtypeError, ShapeError

__all__ = ["Distribution", "Flow", "Transform", "distribution"]

_DTYPES = {np.dtype(np.float32): torch.float32, np.dtype(np.float64): torch.float64}


class Flow(nn.Module):
    """A `diffeo.Flow` as a module: its trained numbers are one Parameter, `weights`, its constants a buffer.

    Weights that masks hide are constants: they stay 0 under any optimizer. Layers that are set from data must have been
    set, by ``flow.fit(x, context, max_epochs=0)`` or by numbers; else they are the identity.

    Parameters
    ----------
    flow : diffeo.Flow
        Copied.

    Examples
    --------
    >>> import diffeo.torch                                                      # doctest: +SKIP
    >>> flow = diffeo.torch.Flow(diffeo.maf(dim=2))                              # doctest: +SKIP
    >>> optimizer = torch.optim.Adam(flow.parameters(), lr=1e-3)                 # doctest: +SKIP
    >>> loss = -flow.log_prob(x).mean(); loss.backward(); optimizer.step()       # doctest: +SKIP
    """

    weights: Tensor
    constants: Tensor
    trained: Tensor

    def __init__(self, flow: _flow.Flow) -> None:
        super().__init__()
        values = torch.from_numpy(flow.parameters())
        trained = torch.from_numpy(flow.trained_parameters())
        self.weights = nn.Parameter(values[trained].clone())
        self.register_buffer("constants", torch.where(trained, 0.0, values))
        self.register_buffer("trained", trained)
        self._architecture = flow
        self._current: tuple[Tensor, _flow.Flow] | None = None

    @property
    def dim(self) -> int:
        """Number of columns of x."""
        return self._architecture.dim

    @property
    def shape(self) -> torch.Size:
        """The shape of an event: (dim,), or (channels, height, width) of images."""
        return torch.Size(self._architecture.shape)

    @property
    def context_dim(self) -> int:
        """Number of columns of the context, 0 without."""
        return self._architecture.context_dim

    @property
    def dtype(self) -> torch.dtype:
        """That of the flow: float32 or float64."""
        return _DTYPES[self._architecture.dtype]

    def flow(self) -> _flow.Flow:
        """Return a `diffeo.Flow` with the present weights, to be saved or handed to other languages."""
        values = self.constants.masked_scatter(self.trained, self.weights.detach())
        # By value: there are ways to change a tensor that leave no trace in its version.
        if self._current is None or not torch.equal(self._current[0], values):
            self._current = values, self._architecture.with_parameters(values.numpy())
        return self._current[1]

    def reset_parameters(self) -> None:
        """Take back the weights that the module was made with."""
        start = torch.from_numpy(self._architecture.parameters())
        with torch.no_grad():
            self.weights.copy_(start[self.trained])

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Return the log-density, as `log_prob` does."""
        return self.log_prob(x, context)

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Log-density of each row in nats, [...]: of x [..., dim], given the context [..., context_dim].

        Differentiable in `x`, the context and `weights`.
        """
        rows, given, shape = self._rows(x, context)
        (log_prob,) = self._evaluate("log_prob", rows, given)
        return log_prob.reshape(shape)

    def to_noise(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map data to noise, [..., dim], and give log abs(det dz/dx), [...]; differentiable in everything."""
        rows, given, shape = self._rows(x, context)
        z, log_det = self._evaluate("to_noise", rows, given)
        return z.reshape(shape + self.shape), log_det.reshape(shape)

    def from_noise(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map noise to data, [..., dim], and give log abs(det dx/dz), [...]; differentiable in everything."""
        rows, given, shape = self._rows(z, context)
        x, log_det = self._evaluate("from_noise", rows, given)
        return x.reshape(shape + self.shape), log_det.reshape(shape)

    def rsample_and_log_prob(
        self, n: int, context: Tensor | None = None, *, seed: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """Draw [n, dim] and give log-densities [n], both differentiable in the context and `weights`.

        The context is [n, context_dim] or [context_dim]; the seed by default comes from PyTorch's own generator.
        """
        number = int(torch.randint(2**63 - 1, ()).item()) if seed is None else seed
        given = None if context is None else self._cast(context).expand(n, self.context_dim)
        x, log_prob = self._evaluate("sample", None, given, (n, number))
        return x.reshape(n, *self.shape), log_prob

    def rsample(self, n: int, context: Tensor | None = None, *, seed: int | None = None) -> Tensor:
        """Draw [n, dim], differentiable in the context and `weights`: reparameterised."""
        return self.rsample_and_log_prob(n, context, seed=seed)[0]

    def sample(self, n: int, context: Tensor | None = None, *, seed: int | None = None) -> Tensor:
        """Draw [n, dim] without gradients."""
        with torch.no_grad():
            return self.rsample(n, context, seed=seed)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_current": None}

    def _cast(self, value: Tensor) -> Tensor:
        if not torch.is_tensor(value) or not value.is_floating_point():
            raise DtypeError(
                f"a tensor of floating-point numbers is wanted, not {getattr(value, 'dtype', type(value))}"
            )
        if value.device.type != "cpu":
            raise DtypeError(f"flows run on the CPU, this tensor is on {value.device}")
        return value.to(self.dtype)

    def _rows(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor | None, torch.Size]:
        rank = len(self.shape)
        if x.shape[-rank:] != self.shape:
            of = f"dim {self.dim}" if rank == 1 else f"shape {tuple(self.shape)}"
            raise ShapeError(f"x has shape {tuple(x.shape)}, this flow has {of}")
        _check_context(self, context)
        shape = x.shape[:-rank]
        rows = self._cast(x)
        if context is None:
            return rows.reshape(-1, self.dim), None, shape
        given = self._cast(context)
        if given.shape[-1:] != (self.context_dim,):
            raise ShapeError(f"context has shape {tuple(given.shape)}, this flow has context_dim {self.context_dim}")
        shape = torch.broadcast_shapes(shape, given.shape[:-1])
        rows, given = rows.expand(shape + self.shape), given.expand(*shape, self.context_dim)
        return rows.reshape(-1, self.dim), given.reshape(-1, self.context_dim), shape

    def _evaluate(
        self, name: str, rows: Tensor | None, given: Tensor | None, draw: tuple[int, int] | None = None
    ) -> tuple[Tensor, ...]:
        found: tuple[Tensor, ...] = _Function.apply(self.flow(), name, draw, rows, given, self.weights, self.trained)
        return found


class _Function(torch.autograd.Function):
    """One of the four functions of a flow, differentiable in rows, context and weights."""

    @staticmethod
    def forward(
        ctx: Any, flow: _flow.Flow, name: str, draw: Any, rows: Any, context: Any, weights: Any, trained: Any
    ) -> Any:
        given = None if context is None else context.detach().numpy()
        ctx.flow, ctx.name, ctx.draw = flow, name, draw
        ctx.save_for_backward(rows, context, trained)
        ctx.set_materialize_grads(False)
        if name == "log_prob":
            return (torch.from_numpy(np.atleast_1d(flow.log_prob(rows.detach().numpy(), given))),)
        if name == "sample":
            n, seed = draw
            x, log_prob = flow.sample_and_log_prob(n, given, seed=seed)
            found = x.reshape(n, flow.dim), log_prob
        else:
            found = getattr(flow, name)(rows.detach().numpy(), given)
        return tuple(torch.from_numpy(each) for each in found)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *cotangents: Any) -> Any:
        rows, context, trained = ctx.saved_tensors
        given = None if context is None else context.detach().numpy()
        g = [None if each is None else each.numpy() for each in cotangents]
        need = dict(zip(("rows", "context", "parameters"), ctx.needs_input_grad[3:6], strict=True))
        of: list[Of] = [name for name, wanted in need.items() if wanted]  # type: ignore[misc]
        if ctx.name == "log_prob":
            found = ctx.flow.log_prob_vjp(rows.detach().numpy(), given, g_log_prob=g[0], of=of)
        elif ctx.name == "to_noise":
            found = ctx.flow.to_noise_vjp(rows.detach().numpy(), given, g_z=g[0], g_log_det=g[1], of=of)
        elif ctx.name == "from_noise":
            found = ctx.flow.from_noise_vjp(rows.detach().numpy(), given, g_x=g[0], g_log_det=g[1], of=of)
        else:
            n, seed = ctx.draw
            found = ctx.flow.sample_vjp(n, given, seed=seed, g_x=g[0], g_log_prob=g[1], of=of)
        # The mask in NumPy, which is several times as fast with it as PyTorch.
        g_weights = None if found.parameters is None else found.parameters[trained.numpy()]
        gradients = (None if each is None else torch.from_numpy(each) for each in (*found[:2], g_weights))
        return None, None, None, *gradients, None


class Distribution(torch.distributions.Distribution):
    """A flow, given a context or not, as a distribution of PyTorch; see `distribution`."""

    arg_constraints: dict[str, Any] = {}  # noqa: RUF012
    has_rsample = True

    def __init__(self, flow: Flow, context: Tensor | None = None) -> None:
        self._flow, self._context = flow, context
        batch = torch.Size() if context is None else context.shape[:-1]
        super().__init__(batch, flow.shape, validate_args=False)

    @torch.distributions.constraints.dependent_property
    def support(self) -> Any:
        """Events of real numbers."""
        return _events(self._flow)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-density in nats, ``[*sample_shape, *batch_shape]``, of value ``[*sample_shape, *batch_shape, dim]``."""
        rank = len(self.event_shape)
        batch = torch.broadcast_shapes(value.shape[:-rank], self.batch_shape)
        return self._flow.log_prob(value.expand(batch + value.shape[-rank:]), self._context)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """Draw ``[*sample_shape, *batch_shape, dim]``, differentiable in the context and the weights of the flow."""
        return self.rsample_and_log_prob(sample_shape)[0]

    def rsample_and_log_prob(self, sample_shape: Any = ()) -> tuple[Tensor, Tensor]:
        """Draw, and give the log-densities for less than the cost of both."""
        shape = torch.Size(sample_shape) + self.batch_shape
        given = None
        if self._context is not None:
            given = self._context.expand(*shape, self._flow.context_dim).reshape(-1, self._flow.context_dim)
        x, log_prob = self._flow.rsample_and_log_prob(shape.numel(), given)
        return x.reshape(shape + self._flow.shape), log_prob.reshape(shape)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Distribution:
        """Return the same distribution with more batch dimensions; without context they are independent draws."""
        new: Distribution = self._get_checked_instance(Distribution, _instance)
        batch = torch.Size(batch_shape)
        new._flow, new._context = self._flow, self._context
        if self._context is not None:
            new._context = self._context.expand(*batch, self._flow.context_dim)
        super(Distribution, new).__init__(batch, self.event_shape, validate_args=False)
        return new


def distribution(flow: Flow, context: Tensor | None = None) -> Distribution:
    """Make a `torch.distributions.Distribution` of a flow.

    Parameters
    ----------
    flow : Flow
        Of this module.
    context : Tensor, [..., context_dim], optional
        Each row of it is one distribution of the batch. Required where the flow has a context.
    """
    _check_context(flow, context)
    return Distribution(flow, context)


class Transform(torch.distributions.Transform):
    """The map from data to noise, given a context or not, as a transform of PyTorch; noise to data is its `inv`.

    For libraries that bring the base of a flow themselves.

    Parameters
    ----------
    flow : Flow
        Of this module.
    context : Tensor, [..., context_dim], optional
        Required where the flow has a context.
    cache_size : {0, 1}
        With 1 the rows mapped last are remembered, and `log_abs_det_jacobian` of them costs nothing.

    Examples
    --------
    >>> flow = diffeo.torch.Flow(diffeo.maf(dim=2))                                            # doctest: +SKIP
    >>> noise = torch.distributions.MultivariateNormal(torch.zeros(2), torch.eye(2))           # doctest: +SKIP
    >>> to_data = diffeo.torch.Transform(flow, cache_size=1).inv                               # doctest: +SKIP
    >>> x = torch.distributions.TransformedDistribution(noise, [to_data]).rsample((10,))       # doctest: +SKIP
    """

    bijective = True

    def __init__(self, flow: Flow, context: Tensor | None = None, cache_size: int = 0) -> None:
        _check_context(flow, context)
        super().__init__(cache_size=cache_size)
        self._flow, self._context = flow, context
        self._log_det: Tensor | None = None

    @torch.distributions.constraints.dependent_property
    def domain(self) -> Any:
        """Events of real numbers."""
        return _events(self._flow)

    codomain = domain

    def with_cache(self, cache_size: int = 1) -> Transform:
        """Return the same transform with this `cache_size`."""
        return self if cache_size == self._cache_size else Transform(self._flow, self._context, cache_size)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """Log abs(det dz/dx) of the rows x, [...]; y is what x is mapped to."""
        if self._cache_size and self._log_det is not None and x is self._cached_x_y[0] and y is self._cached_x_y[1]:
            return self._log_det
        return self._flow.to_noise(x, self._context)[1]

    def forward_shape(self, shape: Any) -> torch.Size:
        """Shape of what rows of this shape are mapped to."""
        batch, rank = () if self._context is None else self._context.shape[:-1], len(self._flow.shape)
        return torch.broadcast_shapes(shape[:-rank], batch) + torch.Size(shape[-rank:])

    inverse_shape = forward_shape

    def _call(self, x: Tensor) -> Tensor:
        z, self._log_det = self._flow.to_noise(x, self._context)
        return z

    def _inverse(self, y: Tensor) -> Tensor:
        x, log_det = self._flow.from_noise(y, self._context)
        self._log_det = -log_det
        return x


def _events(flow: Flow) -> Any:
    constraints = torch.distributions.constraints
    return constraints.independent(constraints.real, len(flow.shape))


def _check_context(flow: Flow, context: Tensor | None) -> None:
    if (context is None) != (flow.context_dim == 0):
        given = "none was given" if context is None else "one was given"
        raise ShapeError(f"this flow has a context of {flow.context_dim} columns, {given}")
