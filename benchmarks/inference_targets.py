"""Targets of inference.py for each library: NumPy's of the tests, the same for PyTorch and JAX, and in C."""

from __future__ import annotations

import ctypes
import math
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "Tests/inference"))

import targets  # noqa: E402

SCHOOLS = "eight_schools-eight_schools_noncentered"
NUMPY = {
    "banana": targets.KNOWN["banana"],
    "funnel": targets.KNOWN["funnel"],
    "ring": targets.KNOWN["ring of eight"],
    "eight_schools": targets.posteriors()[SCHOOLS],
}
LOG_2PI = math.log(2 * math.pi)


def log_density(name: str, library: Any) -> Callable[[Any], Any]:
    """Of rows, or of one row; library is torch or jax.numpy."""
    constant: Callable[[Any], Any] = library.asarray

    def banana(x: Any) -> Any:
        return -0.5 * x[..., 0] ** 2 - 2 * (x[..., 1] - x[..., 0] ** 2) ** 2

    def funnel(x: Any) -> Any:
        v, count = x[..., 0], x.shape[-1] - 1
        squares = (x[..., 1:] ** 2).sum(-1) * library.exp(-v)
        return -(v**2) / 18 - math.log(3) - 0.5 * (squares + count * v + (count + 1) * LOG_2PI)

    centres = constant(targets.CENTRES.astype("float32"))

    def ring(x: Any) -> Any:
        logs = -0.5 * ((x[..., None, :] - centres) ** 2).sum(-1) / targets.WIDTH**2
        top = library.amax(logs, -1)
        return top + library.log(library.exp(logs - top[..., None]).sum(-1))

    model = targets.EightSchools
    effect, error = (constant(each.astype("float32")) for each in (model.effect, model.error))
    normaliser = math.log(2 / (5 * math.pi)) - math.log(5) - 8.5 * LOG_2PI - sum(math.log(e) for e in model.error)

    def eight_schools(x: Any) -> Any:
        eta, mu, log_tau = x[..., :8], x[..., 8], x[..., 9]
        tau = library.exp(log_tau)
        residual = (effect - mu[..., None] - tau[..., None] * eta) / error
        squares = (eta**2).sum(-1) + (residual**2).sum(-1) + mu**2 / 25
        return normaliser - 0.5 * squares - library.log1p(tau**2 / 25) + log_tau

    return {"banana": banana, "funnel": funnel, "ring": ring, "eight_schools": eight_schools}[name]


@cache
def in_c() -> ctypes.CDLL:
    """Functions with the names of NUMPY, of the form of diffeo_target_f32."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "targets.so"
        options = ["-O3", "-march=native", "-shared", "-fPIC"]
        subprocess.run(["cc", *options, "-o", str(path), str(HERE / "inference_targets.c"), "-lm"], check=True)
        return ctypes.CDLL(str(path))
