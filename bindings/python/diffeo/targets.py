"""Targets for `Flow.fit_target`, made of what others differentiate: functions of PyTorch and JAX, Stan models.

A target is a function of an array [n, dim] (and of the context, [n, context_dim], where the flow has one) that returns
the log-densities, [n], up to a constant, and their gradients, [n, dim]. None of the libraries is needed but by its own
function here.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

from ._abi import Array
from .errors import ShapeError

__all__ = ["from_jax", "from_stan", "from_torch"]


def from_torch(log_density: Callable[..., Any]) -> Callable[..., tuple[Array, Array]]:
    """Make a target of a function of tensors, which PyTorch differentiates.

    Parameters
    ----------
    log_density : callable
        ``log_density(x)``, or ``log_density(x, context)``: of tensors [n, dim] and [n, context_dim] on the CPU, in the
        dtype of the flow, to a tensor [n]. Rows must not depend on one another.

    Examples
    --------
    >>> target = diffeo.targets.from_torch(lambda x: -0.5 * (x**2).sum(1))     # doctest: +SKIP
    >>> flow.fit_target(target)                                                 # doctest: +SKIP
    """
    torch = import_module("torch")

    def target(x: Array, *context: Array) -> tuple[Array, Array]:
        with torch.enable_grad():
            rows = torch.from_numpy(x).requires_grad_()
            values = log_density(rows, *map(torch.from_numpy, context))
            _check(values, x)
            (gradient,) = torch.autograd.grad(values.sum(), rows)
        return values.detach().numpy(), gradient.numpy()

    return target


def from_jax(log_density: Callable[..., Any]) -> Callable[..., tuple[Array, Array]]:
    """Make a target of a function of one row, which JAX differentiates, maps over the rows and compiles.

    Parameters
    ----------
    log_density : callable
        ``log_density(x)``, or ``log_density(x, context)``: of a row [dim] and [context_dim] to a number. It is compiled
        once for each number of rows. JAX computes in float32 unless ``jax_enable_x64`` is set.

    Examples
    --------
    >>> target = diffeo.targets.from_jax(lambda x: -0.5 * (x**2).sum())        # doctest: +SKIP
    """
    jax = import_module("jax")
    compiled = jax.jit(jax.vmap(jax.value_and_grad(log_density)))

    def target(x: Array, *context: Array) -> tuple[Array, Array]:
        values, gradient = compiled(x, *context)
        return np.asarray(values), np.asarray(gradient)

    return target


def from_stan(model: Any) -> Callable[[Array], tuple[Array, Array]]:
    """Make a target of a Stan model in the unconstrained parameters, with the Jacobian of the transform.

    Parameters
    ----------
    model : bridgestan.StanModel
        Or anything with its method ``log_density_gradient(theta_unc)``, which returns the log-density of one row and
        its gradient, and ``param_unc_num()``.

    Examples
    --------
    >>> import bridgestan                                                       # doctest: +SKIP
    >>> model = bridgestan.StanModel("eight_schools.stan", "eight_schools.json")  # doctest: +SKIP
    >>> flow = diffeo.realnvp(dim=model.param_unc_num())                        # doctest: +SKIP
    >>> flow.fit_target(diffeo.targets.from_stan(model))                        # doctest: +SKIP
    """

    def target(x: Array) -> tuple[Array, Array]:
        if x.shape[1] != model.param_unc_num():
            raise ShapeError(
                f"the flow has dim {x.shape[1]}, the model {model.param_unc_num()} unconstrained parameters"
            )
        values, gradient = np.empty(len(x)), np.empty(x.shape)
        for i, row in enumerate(x.astype(np.float64)):
            try:
                values[i], gradient[i] = model.log_density_gradient(row)
            except RuntimeError:  # what Stan rejects has no density
                values[i], gradient[i] = -np.inf, 0.0
        return values, gradient

    return target


def _check(values: Any, x: Array) -> None:
    if tuple(values.shape) != (len(x),):
        raise ShapeError(f"log_density gave shape {tuple(values.shape)}, expected ({len(x)},)")
