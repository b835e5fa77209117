"""What the peers made of PyTorch have in common: eager, in inference mode, fused Adam."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cases import Case

from . import Run, check, timed


def setup(threads: int) -> None:
    import torch

    torch.set_num_threads(threads)
    torch.set_num_interop_threads(1)
    torch.manual_seed(0)


def run_of(module: Any, case: Case, rows: int, log_prob: Callable[[Any], Any], sample: Callable[[int], Any]) -> Run:
    import torch

    module.to(getattr(torch, case.dtype))
    x = torch.randn(rows, case.dim, dtype=getattr(torch, case.dtype))
    if case.task == "train":
        return _training(module, x, log_prob)
    module.eval()

    @torch.inference_mode()
    def call() -> Any:
        return log_prob(x) if case.task == "log_prob" else sample(rows)

    check(call(), rows)
    return timed(call)


def _training(module: Any, x: Any, log_prob: Callable[[Any], Any]) -> Run:
    """Steps on one batch that is there already."""
    import torch

    module.train()
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-3, fused=True)

    def call() -> None:
        optimizer.zero_grad()
        (-log_prob(x).mean()).backward()
        optimizer.step()

    return timed(call)
