"""What the peers made of PyTorch have in common: eager, in inference mode, fused Adam."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from cases import Case

from . import LEAST_NORMS, NORMS, Learn, Learnt, Pair, Run, check, early_stopping, timed


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


def learn(module: Any, task: Learn, log_prob: Callable[[Any, Any], Any]) -> Learnt:
    """The loop that a user writes; the best weights are kept."""
    import torch

    def tensors(rows: Pair) -> tuple[Any, Any]:
        return tuple(None if part is None else torch.from_numpy(part) for part in rows)  # type: ignore[return-value]

    x, context = tensors(task.train)
    optimizer = torch.optim.Adam(module.parameters(), lr=task.lr, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, task.steps)
    norms: deque[float] = deque(maxlen=NORMS)

    def epoch(order: Any) -> None:
        for batch in torch.from_numpy(order).split(task.batch_size):
            optimizer.zero_grad()
            (-log_prob(x[batch], None if context is None else context[batch]).mean()).backward()
            norm = float(torch.nn.utils.get_total_norm([w.grad for w in module.parameters() if w.grad is not None]))
            if len(norms) >= LEAST_NORMS:
                limit = sorted(norms)[int(task.clip_quantile * len(norms))]
                torch.nn.utils.clip_grads_with_norm_(module.parameters(), limit, torch.tensor(norm))
            norms.append(norm)
            optimizer.step()
            schedule.step()

    def density(rows: Pair) -> Any:
        with torch.inference_mode():
            return log_prob(*tensors(rows)).numpy()

    def copy() -> Any:
        return {name: value.clone() for name, value in module.state_dict().items()}

    return early_stopping(task, epoch, density, copy, module.load_state_dict)
