"""The steps of a training, for gradients of any loss."""

from __future__ import annotations

from ctypes import byref, sizeof
from dataclasses import dataclass, fields
from typing import Any, ClassVar, SupportsIndex, TypeVar

import numpy.typing as npt

from . import _abi
from ._abi import lib, typed
from ._arrays import integer
from ._training import Schedule, Stepping, Trainable, set_optimizer
from ._vjp import cotangent
from ._words import Optimizer as Method

F = TypeVar("F", bound=Trainable)


@dataclass(frozen=True)
class OptimizerReport:
    """How an `Optimizer` stands."""

    steps: int
    """In all."""
    skipped_steps: int
    """Left out, because the gradient was not finite."""
    cut_steps: int
    """Whose gradient was cut, see `clip_norm` and `clip_quantile`."""
    gradient_norm: float
    """Of the latest step, before clipping; NaN before the first."""
    learning_rate: float
    """Of the latest step."""
    seconds: float
    """Spent in `step`."""


class Optimizer(Stepping[F]):
    """The steps of `Flow.fit`, against the gradient of a loss of your own: see `Flow.log_prob_vjp` and its siblings.

    It begins with the weights of `flow`, which is not changed. Options are those of `fit`; `schedule` may be
    "constant", "cosine", which falls to 0 over `total_steps` (1 or more), or a function of step and total_steps that
    gives what `lr` is multiplied by. Layers that are set from data and are not yet become the identity;
    `Trainer(flow, x).current` is the flow with them set from x. Used by one thread at a time.

    Raises
    ------
    ValueError
        For an option out of its range, for schedules by epochs, and for a cosine without `total_steps`.
    UnsupportedError
        For a flow with batch normalisation.

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(3, 2, size=(512, 2))
    >>> optimizer = diffeo.Optimizer(diffeo.Trainer(diffeo.nice(dim=2), x).current, lr=1e-2)
    >>> for _ in range(20):
    ...     flow = optimizer.current
    ...     gradient = flow.log_prob_vjp(x, g_log_prob=-1 / len(x), of=["parameters"]).parameters
    ...     report = optimizer.step(gradient)
    >>> report.steps
    20
    """

    _C_NAME: ClassVar[str] = "optimizer"

    def __init__(
        self,
        flow: F,
        *,
        total_steps: SupportsIndex = 0,
        lr: float = 1e-3,
        optimizer: Method = "adam",
        schedule: Schedule = "constant",
        warmup_steps: SupportsIndex = 0,
        betas: tuple[float, float] = (0.9, 0.999),
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        l2: float = 0.0,
        clip_quantile: float = 0.9,
        clip_norm: float = 0.0,
        ema_decay: float = 0.0,
        threads: SupportsIndex | None = None,
    ) -> None:
        options = _abi.defaults(_abi.TrainOptions, lib.diffeo_train_options_init)
        set_optimizer(
            options, lr=lr, optimizer=optimizer, schedule=schedule, warmup_steps=warmup_steps,
            rate_decay=options.rate_decay, plateau_patience=options.plateau_patience, betas=betas, momentum=momentum,
            weight_decay=weight_decay, l2=l2, clip_quantile=clip_quantile, clip_norm=clip_norm, ema_decay=ema_decay,
            seed=0, threads=threads,
        )  # fmt: skip
        super().__init__(flow, lr, schedule, _abi.TrainReport(struct_size=sizeof(_abi.TrainReport)))
        self._total_steps = integer(total_steps, "total_steps", 0)
        self._handle = _abi.create(
            _abi.Optimizer, lib.diffeo_optimizer_create, flow._handle, byref(options), self._total_steps
        )
        self._look()

    def step(self, gradient: npt.ArrayLike) -> OptimizerReport:
        """One step to a smaller loss.

        Parameters
        ----------
        gradient
            dL/dparameters, [parameter_count], in the order of `Flow.parameters`. What no training moves
            (`Flow.trained_parameters`) is not looked at. Where the rest is not finite the step is left out.

        Raises
        ------
        ShapeError
            For another shape.
        """
        flow: Any = self._flow
        given = cotangent(gradient, (flow.parameter_count,), flow.dtype, "gradient")
        if given is None:
            raise TypeError("gradient is None, it must be an array")
        self._set_scheduled_rate(self._total_steps)
        typed("diffeo_optimizer_step", flow.dtype)(self._handle, given, byref(self._now))
        return self.report

    @property
    def report(self) -> OptimizerReport:
        """How it stands."""
        return OptimizerReport(*(getattr(self._now, field.name) for field in fields(OptimizerReport)))

    @property
    def average(self) -> F:
        """A new flow with the moving average of the weights, see `ema_decay`; RuntimeError without."""
        return self._made("average")
