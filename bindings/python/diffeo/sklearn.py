"""Flows as estimators of scikit-learn: pipelines, grid searches, clones.

``import diffeo.sklearn`` needs scikit-learn.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from . import architectures
from ._abi import Array
from ._arrays import choice
from .flow import Flow
from .train import History

__all__ = ["FlowDensity"]

# Flows by name that have a density on the line.
_FLOWS = dict.fromkeys(
    [
        "spline_autoregressive",
        "spline_coupling",
        "maf",
        "realnvp",
        "glow",
        "iaf",
        "nice",
        "made",
        "planar",
        "radial",
        "cdf_flow",
    ],
    0,
)


class FlowDensity(DensityMixin, BaseEstimator):
    """Density estimation with a normalizing flow, in the manner of `sklearn.neighbors.KernelDensity`.

    Parameters
    ----------
    flow : str
        The name of a flow: "spline_autoregressive", "maf", "realnvp" and so on, a function of `diffeo`.
    flow_options : dict, optional
        Arguments of that function, such as ``{"hidden": (64, 64)}``; dim and seed are not among them.
    max_epochs, patience, batch_size, lr, schedule, validation, weight_decay, ema_decay
        As in `diffeo.Trainer`. With so few rows that none would be held out, none are.
    random_state : int, RandomState or None
        Of initial weights, shuffling and the rows held out.

    Attributes
    ----------
    flow_ : diffeo.Flow
        Trained.
    history_ : diffeo.History
    n_features_in_ : int
    feature_names_in_ : array of str
        Where X was a data frame.

    Notes
    -----
    Columns that are constant have no density: they are refused.

    Examples
    --------
    >>> from diffeo.sklearn import FlowDensity                                  # doctest: +SKIP
    >>> from sklearn.model_selection import GridSearchCV                        # doctest: +SKIP
    >>> search = GridSearchCV(FlowDensity(max_epochs=20), {"flow": ["maf", "realnvp"]}).fit(X)   # doctest: +SKIP
    """

    def __init__(
        self,
        flow: str = "spline_autoregressive",
        *,
        flow_options: dict[str, Any] | None = None,
        max_epochs: int = 100,
        patience: int = 10,
        batch_size: int = 512,
        lr: float = 1e-3,
        schedule: str = "constant",
        validation: float = 0.1,
        weight_decay: float = 0.0,
        ema_decay: float = 0.0,
        random_state: Any = None,
    ) -> None:
        self.flow = flow
        self.flow_options = flow_options
        self.max_epochs = max_epochs
        self.patience = patience
        self.batch_size = batch_size
        self.lr = lr
        self.schedule = schedule
        self.validation = validation
        self.weight_decay = weight_decay
        self.ema_decay = ema_decay
        self.random_state = random_state

    flow_: Flow
    history_: History

    def fit(
        self,
        X: npt.ArrayLike,  # noqa: N803
        y: object = None,
        sample_weight: npt.ArrayLike | None = None,
    ) -> FlowDensity:
        """Train a flow on the rows of X.

        Parameters
        ----------
        X : array_like, [n, columns]
            Two rows at least.
        y : ignored
        sample_weight : array_like, [n], optional
            Weights of rows, 0 or more; those of weight 0 are left out.
        """
        rows = validate_data(self, X, dtype=[np.float64, np.float32], ensure_min_samples=2)
        weights = None
        if sample_weight is not None:
            weights = np.broadcast_to(np.asarray(sample_weight, rows.dtype), len(rows))
            if (weights < 0).any():
                raise ValueError("Negative values in data passed to `sample_weight`")
            if not (weights > 0).any():
                raise ValueError("all sample weights are zero")
            rows, weights = rows[weights > 0], weights[weights > 0]
        choice(self.flow, _FLOWS, "flow")
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        make = getattr(architectures, self.flow)
        flow = make(rows.shape[1], seed=seed, **{"dtype": rows.dtype.name} | (self.flow_options or {}))
        self.history_ = flow.fit(
            rows,
            weights=weights,
            max_epochs=self.max_epochs,
            patience=self.patience,
            batch_size=self.batch_size,
            lr=self.lr,
            schedule=cast(Any, self.schedule),
            validation=self.validation,
            weight_decay=self.weight_decay,
            ema_decay=self.ema_decay,
            seed=seed,
            progress=False,
        )
        self.flow_ = flow
        return self

    def score_samples(self, X: npt.ArrayLike) -> Array:  # noqa: N803
        """Log-density of each row, [n], in nats."""
        check_is_fitted(self)
        rows = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        found: Array = self.flow_.log_prob(rows)
        return found

    def score(self, X: npt.ArrayLike, y: object = None) -> float:  # noqa: N803
        """Mean log-density of the rows, in nats: what a grid search makes large."""
        return float(self.score_samples(X).astype(float).mean())

    def sample(self, n_samples: int = 1, random_state: Any = None) -> Array:
        """Draw rows, [n_samples, columns]."""
        check_is_fitted(self)
        seed = int(check_random_state(random_state).randint(2**31 - 1))
        found: Array = self.flow_.sample(n_samples, seed=seed)
        return found
