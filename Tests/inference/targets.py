"""Densities for variational inference, in NumPy: three of the plane and of ten columns, and seven posteriors.

A target is called with rows [n, dim] and gives log p, [n], and its gradient, [n, dim], in float64: what
`Flow.fit_target` wants. Its columns are on the whole line and of a size near 1, as a user would choose units; log p has
the log-Jacobians of that. `quantities` gives the parameters as the model has them.

The posteriors are models of posteriordb (Magnusson et al., "posteriordb: testing, benchmarking and developing Bayesian
inference algorithms", AISTATS 2025; BSD 3-clause), which has long runs of Markov chains for them. Of the data,
data.json has what log p depends on, and reference.json what the chains came to; make.py writes both.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

Array = np.ndarray
HERE = Path(__file__).resolve().parent
LOG_2PI = math.log(2 * math.pi)


@dataclass(frozen=True)
class Target:
    """log p with its gradient; `log_evidence`, log of the integral of p, where it is known."""

    name: str
    dim: int
    density: Callable[[Array], tuple[Array, Array]]
    columns: tuple[str, ...]
    transform: Callable[[Array], Array]
    log_evidence: float | None = None

    def __call__(self, x: Array) -> tuple[Array, Array]:
        with np.errstate(over="ignore", invalid="ignore"):  # far out p is 0, or not finite and the step left out
            return self.density(np.asarray(x, float))

    def quantities(self, x: Array) -> Array:
        """[n, len(columns)]"""
        return self.transform(np.asarray(x, float))


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def log_logistic(x: Array) -> tuple[Array, Array]:
    """The log of sigmoid(x) sigmoid(-x), the Jacobian of a number in (0, 1), and its derivative."""
    return -np.logaddexp(0, x) - np.logaddexp(0, -x), 1 - 2 * sigmoid(x)


def half_cauchy(sigma: Array, scale: float) -> tuple[Array, Array]:
    """log-density, and its derivative in log sigma."""
    ratio = (sigma / scale) ** 2
    return -np.log1p(ratio) + math.log(2 / (math.pi * scale)), -2 * ratio / (1 + ratio)


def identity(x: Array) -> Array:
    return x


# ------------------------------------------------------------------------------------------------ with known answers


def banana(x: Array) -> tuple[Array, Array]:
    """x0 ~ N(0, 1), x1 ~ N(x0^2, 1/2^2)."""
    bend = x[:, 1] - x[:, 0] ** 2
    gradient = np.stack([-x[:, 0] + 8 * x[:, 0] * bend, -4 * bend], axis=1)
    return -0.5 * x[:, 0] ** 2 - 2 * bend**2, gradient


def funnel(x: Array) -> tuple[Array, Array]:
    """Neal 2003: v ~ N(0, 3^2), the others N(0, exp(v)). Normalised."""
    v, rest = x[:, 0], x[:, 1:]
    precision = np.exp(-v)
    squares = (rest**2).sum(1) * precision
    count = rest.shape[1]
    log_p = -(v**2) / 18 - math.log(3) - 0.5 * (squares + count * v) - 0.5 * (count + 1) * LOG_2PI
    return log_p, np.column_stack([-v / 9 + 0.5 * (squares - count), -rest * precision[:, None]])


CENTRES = 4 * np.stack([np.cos(np.arange(8) * np.pi / 4), np.sin(np.arange(8) * np.pi / 4)], axis=1)
WIDTH = 0.5


def ring(x: Array) -> tuple[Array, Array]:
    """Eight equal modes, each as high as 1: two deviations of one are a third of the way to the next."""
    difference = CENTRES - x[:, None]
    logs = -0.5 * (difference**2).sum(2) / WIDTH**2
    top = logs.max(1, keepdims=True)
    weights = np.exp(logs - top)
    total = weights.sum(1, keepdims=True)
    gradient = np.einsum("nk,nkd->nd", weights / total, difference) / WIDTH**2
    return (top + np.log(total))[:, 0], gradient


# ----------------------------------------------------------------------------------------------------- posteriors


class EightSchools:
    """Rubin 1981, non-centred: theta = mu + tau eta. Rows are eta, mu, log tau."""

    columns = (*(f"theta[{i}]" for i in range(1, 9)), "mu", "tau")
    effect = np.array([28, 8, -3, 7, -1, 1, 18, 12], float)
    error = np.array([15, 10, 16, 11, 9, 11, 10, 18], float)

    def density(self, x: Array) -> tuple[Array, Array]:
        eta, mu, tau = x[:, :8], x[:, 8], np.exp(x[:, 9])
        residual = (self.effect - mu[:, None] - tau[:, None] * eta) / self.error
        slope = residual / self.error
        prior, d_prior = half_cauchy(tau, 5)
        log_p = -0.5 * ((eta**2).sum(1) + (residual**2).sum(1) + mu**2 / 25) + prior + x[:, 9]
        log_p -= 8 * LOG_2PI + np.log(self.error).sum() + 0.5 * LOG_2PI + math.log(5)
        gradient = np.column_stack([
            -eta + slope * tau[:, None], slope.sum(1) - mu / 25, tau * (slope * eta).sum(1) + d_prior + 1,
        ])  # fmt: skip
        return log_p, gradient

    def transform(self, x: Array) -> Array:
        mu, tau = x[:, 8:9], np.exp(x[:, 9:])
        return np.hstack([mu + tau * x[:, :8], mu, tau])


class Regression:
    """y ~ N(X b, sigma), by the statistics X'X, the least squares estimate and what it leaves.

    Rows are coefficients and log sigma, from their estimates in their standard errors. Priors: `wide`, the deviation of
    that of the coefficients, None for a flat one; log-density of sigma with its derivative in log sigma.
    """

    def __init__(self, name: str, columns: tuple[str, ...], wide: float | None,
                 prior: Callable[[Array], tuple[Array, Array]] | None) -> None:  # fmt: skip
        data = DATA[name]
        self.columns, self.wide, self.prior, self.rows = columns, wide, prior, data["rows"]
        self.gram, self.estimate = np.array(data["gram"]), np.array(data["estimate"])
        self.left = data["residual_squares"]
        self.sigma = math.sqrt(self.left / self.rows)
        self.errors = self.sigma * np.sqrt(np.diag(np.linalg.inv(self.gram)))
        self.step = 1 / math.sqrt(2 * self.rows)

    def density(self, x: Array) -> tuple[Array, Array]:
        difference = x[:, :-1] * self.errors
        sigma = self.sigma * np.exp(self.step * x[:, -1])
        pull = difference @ self.gram
        squares = self.left + (difference * pull).sum(1)
        log_p = -0.5 * squares / sigma**2 - self.rows * (np.log(sigma) + 0.5 * LOG_2PI)
        d_log_sigma = squares / sigma**2 - self.rows
        d_beta = -pull / sigma[:, None] ** 2
        if self.wide is not None:
            beta = self.estimate + difference
            log_p -= 0.5 * ((beta / self.wide) ** 2 + LOG_2PI).sum(1) + beta.shape[1] * math.log(self.wide)
            d_beta -= beta / self.wide**2
        if self.prior is not None:
            value, slope = self.prior(sigma)
            log_p += value
            d_log_sigma += slope
        log_p += np.log(sigma * self.step) + np.log(self.errors).sum()
        return log_p, np.column_stack([d_beta * self.errors, (d_log_sigma + 1) * self.step])

    def transform(self, x: Array) -> Array:
        beta = self.estimate + x[:, :-1] * self.errors
        return np.column_stack([beta, self.sigma * np.exp(self.step * x[:, -1])])


def normal_10(sigma: Array) -> tuple[Array, Array]:
    return -0.5 * (sigma / 10) ** 2 - 0.5 * LOG_2PI - math.log(10), -((sigma / 10) ** 2)


class Garch:
    """y_t ~ N(mu, s_t), s_t^2 = alpha0 + alpha1 (y_(t-1) - mu)^2 + beta1 s_(t-1)^2; alpha1 + beta1 < 1.

    Rows are mu, from 5, log alpha0, logit alpha1, logit of beta1 / (1 - alpha1). Priors are flat.
    """

    columns = ("mu", "alpha0", "alpha1", "beta1")

    def __init__(self) -> None:
        self.y, self.first = np.array(DATA["garch"]["y"]), DATA["garch"]["sigma1"] ** 2

    def density(self, x: Array) -> tuple[Array, Array]:
        mu, alpha0, alpha1, beta1 = self.transform(x).T
        residual = self.y[:, None] - mu
        squares = residual**2
        variance = np.empty_like(squares)
        variance[0] = self.first
        new = alpha0 + alpha1 * squares[:-1]
        for t in range(1, len(self.y)):
            variance[t] = new[t - 1] + beta1 * variance[t - 1]
        log_p = -0.5 * (np.log(variance) + squares / variance + LOG_2PI).sum(0)
        # Of each variance, through all that follow from it.
        slope = 0.5 * (squares / variance - 1) / variance
        for t in range(len(self.y) - 2, -1, -1):
            slope[t] += beta1 * slope[t + 1]
        d_mu = (residual / variance).sum(0) - 2 * alpha1 * (slope[1:] * residual[:-1]).sum(0)
        d_alpha0, d_alpha1 = slope[1:].sum(0), (slope[1:] * squares[:-1]).sum(0)
        d_beta1 = (slope[1:] * variance[:-1]).sum(0)
        (log_a, d_log_a), (log_b, d_log_b) = log_logistic(x[:, 2]), log_logistic(x[:, 3])
        share = sigmoid(x[:, 3])
        log_p += x[:, 1] + log_a + log_b + np.log1p(-alpha1)
        gradient = np.stack([
            d_mu, d_alpha0 * alpha0 + 1, (d_alpha1 - share * d_beta1) * alpha1 * (1 - alpha1) + d_log_a - alpha1,
            d_beta1 * (1 - alpha1) * share * (1 - share) + d_log_b,
        ], axis=1)  # fmt: skip
        return log_p, gradient

    def transform(self, x: Array) -> Array:
        alpha1 = sigmoid(x[:, 2])
        return np.stack([5 + x[:, 0], np.exp(x[:, 1]), alpha1, (1 - alpha1) * sigmoid(x[:, 3])], axis=1)


class HiddenMarkov:
    """Two states, y_t ~ N(mu of the state, 1), 0 < mu[1] < mu[2]; mu ~ N((3, 10), 1), probabilities uniform.

    Rows are logits of the probabilities that state 1 follows, on 1 and on 2, and 4 log(mu[1] / 3),
    8 log((mu[2] - mu[1]) / 7).
    """

    columns = ("theta1[1]", "theta1[2]", "theta2[1]", "theta2[2]", "mu[1]", "mu[2]")

    def __init__(self) -> None:
        self.y = np.array(DATA["hmm_example"]["y"])

    def density(self, x: Array) -> tuple[Array, Array]:
        """Forward and backward (Rabiner 1989), each step scaled; both states have a weight of 1 at first."""
        stay, back, mu = sigmoid(x[:, 0]), sigmoid(x[:, 1]), self.means(x)
        distance = self.y[:, None, None] - mu  # [steps, state, n]
        logs = -0.5 * (distance**2 + LOG_2PI)
        top = logs.max(1)
        emit = np.exp(logs - top[:, None])
        last = len(self.y) - 1
        before, after, scale = np.empty_like(emit), np.ones_like(emit), np.empty_like(top)
        now = emit[0]
        for t in range(last + 1):
            scale[t] = now[0] + now[1]
            before[t] = now / scale[t]
            if t < last:
                first = before[t, 0] * stay + before[t, 1] * back
                now = emit[t + 1] * np.stack([first, 1 - first])  # as before[t] sums to 1
        emit[1:] /= scale[1:, None]
        for t in range(last, 0, -1):
            first, second = emit[t] * after[t]
            after[t - 1, 0] = second + stay * (first - second)
            after[t - 1, 1] = second + back * (first - second)
        first, second = (emit[1:] * after[1:]).transpose(1, 0, 2)
        # What a move to state 1 is worth more than one to 2, summed over the steps: the derivatives in stay and back.
        worth = np.einsum("tin,tn->in", before[:-1], first - second)
        d_mu = np.einsum("tin,tin->in", before * after, distance)
        prior = mu - [[3.0], [10.0]]
        d_mu -= prior
        (log_stay, d_stay), (log_back, d_back) = log_logistic(x[:, 0]), log_logistic(x[:, 1])
        log_p = (np.log(scale) + top).sum(0) - 0.5 * (prior**2 + LOG_2PI).sum(0) + log_stay + log_back
        log_p += np.log(mu[0] / 4) + np.log((mu[1] - mu[0]) / 8)
        gradient = np.stack([
            worth[0] * stay * (1 - stay) + d_stay, worth[1] * back * (1 - back) + d_back,
            (d_mu.sum(0) * mu[0] + 1) / 4, (d_mu[1] * (mu[1] - mu[0]) + 1) / 8,
        ], axis=1)  # fmt: skip
        return log_p, gradient

    def means(self, x: Array) -> Array:
        low = 3 * np.exp(x[:, 2] / 4)
        return np.stack([low, low + 7 * np.exp(x[:, 3] / 8)])

    def transform(self, x: Array) -> Array:
        stay, back = sigmoid(x[:, 0]), sigmoid(x[:, 1])
        return np.stack([stay, 1 - stay, back, 1 - back, *self.means(x)], axis=1)


class PoissonProcess:
    """Counts k ~ Poisson(exp f), f a Gaussian process of length rho ~ Gamma(25, 4) and amplitude alpha ~ |N(0, 2)|.

    Rows are 8 log(rho / 6), 4 log(alpha / 3), eta with f = alpha L eta, where L L' is the correlation of f plus 1e-10
    times the identity. (posteriordb adds that to the covariance: for alpha = 3 a ninth of this.)
    """

    places, counts = np.arange(-10.0, 11.0, 2.0), np.array([40, 37, 29, 12, 4, 3, 9, 19, 77, 82, 33], float)
    columns = ("rho", "alpha", *(f"f[{i}]" for i in range(1, 12)))
    squares = (places[:, None] - places) ** 2

    def root(self, rho: Array) -> tuple[Array, Array]:
        """L and the correlation, without what is added."""
        correlation = np.exp(-0.5 * self.squares / rho[:, None, None] ** 2)
        return np.linalg.cholesky(correlation + 1e-10 * np.eye(11)), correlation

    def density(self, x: Array) -> tuple[Array, Array]:
        rho, alpha, eta = 6 * np.exp(x[:, 0] / 8), 3 * np.exp(x[:, 1] / 4), x[:, 2:]
        root, correlation = self.root(rho)
        f = alpha[:, None] * np.einsum("nij,nj->ni", root, eta)
        log_p = self.counts @ f.T - np.exp(f).sum(1) - sum(math.lgamma(k + 1) for k in self.counts)
        log_p += 24 * np.log(rho) - 4 * rho + 25 * math.log(4) - math.lgamma(25)
        log_p += -0.5 * (alpha**2 / 4 + LOG_2PI) - math.log(2)
        log_p += -0.5 * (eta**2 + LOG_2PI).sum(1) + np.log(rho / 8) + np.log(alpha / 4)
        slope = (self.counts - np.exp(f)) * alpha[:, None]  # in L eta
        # The derivative of L in rho is L Phi(L^-1 dK L^-T), where Phi halves the diagonal and drops what is above it.
        inverse = np.linalg.inv(root)
        change = inverse @ (correlation * self.squares / rho[:, None, None] ** 3) @ inverse.transpose(0, 2, 1)
        change = np.tril(change, -1) + 0.5 * change * np.eye(11)
        pulled = np.einsum("ni,nij->nj", slope, root)
        d_rho = np.einsum("ni,nij,nj->n", pulled, change, eta) + 24 / rho - 4
        d_alpha = (slope * f).sum(1) / alpha**2 - alpha / 4
        return log_p, np.column_stack([(d_rho * rho + 1) / 8, (d_alpha * alpha + 1) / 4, pulled - eta])

    def transform(self, x: Array) -> Array:
        rho, alpha = 6 * np.exp(x[:, 0] / 8), 3 * np.exp(x[:, 1] / 4)
        f = alpha[:, None] * np.einsum("nij,nj->ni", self.root(rho)[0], x[:, 2:])
        return np.column_stack([rho, alpha, f])


# ----------------------------------------------------------------------------------------------------------- all


DATA = json.loads((HERE / "data.json").read_text(encoding="utf-8")) if (HERE / "data.json").is_file() else {}


def known(name: str, density: Callable[[Array], tuple[Array, Array]], dim: int, log_evidence: float) -> Target:
    return Target(name, dim, density, tuple(f"x[{i}]" for i in range(1, dim + 1)), identity, log_evidence)


KNOWN = {
    target.name: target
    for target in (
        known("banana", banana, 2, math.log(math.pi)),
        known("funnel", funnel, 10, 0.0),
        known("ring of eight", ring, 2, math.log(8 * 2 * math.pi * WIDTH**2)),
    )
}


def coefficients(name: str, count: int) -> tuple[str, ...]:
    return tuple(f"{name}[{i}]" for i in range(1, count + 1))


def posteriors() -> dict[str, Target]:
    """By their names in posteriordb."""

    def cauchy(sigma: Array) -> tuple[Array, Array]:
        return half_cauchy(sigma, 2.5)

    models = {
        "eight_schools-eight_schools_noncentered": (EightSchools(), 10),
        "garch-garch11": (Garch(), 4),
        "arK-arK": (Regression("arK", ("alpha", *coefficients("beta", 5), "sigma"), 10, cauchy), 7),
        "hmm_example-hmm_example": (HiddenMarkov(), 4),
        "sblrc-blr": (Regression("sblrc", (*coefficients("beta", 5), "sigma"), 10, normal_10), 6),
        "nes1980-nes": (Regression("nes1980", (*coefficients("beta", 9), "sigma"), None, None), 10),
        "gp_pois_regr-gp_pois_regr": (PoissonProcess(), 13),
    }
    return {name: Target(name, dim, m.density, m.columns, m.transform) for name, (m, dim) in models.items()}
