"""The history of a training in the file of its flow: for the learning curve of later reports."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import Any

from .._judged import Judged
from ..train import History

_KEY = "diffeo.history"  # of metadata
_EPOCHS = 500  # that are kept: a value of metadata has 65535 bytes at most


def keep(flow: Judged, history: History) -> None:
    """Write it into the metadata of the flow, of long ones evenly spaced epochs and the last; no times of day.

    The same training makes the same file.
    """
    step = max(1, math.ceil(len(history) / _EPOCHS))
    lists: dict[str, Any] = {}
    for name in ("epoch", "train_log_prob", "validation_log_prob"):
        lists[name] = [_short(each) for each in getattr(history, name)[::-1][::step][::-1]]
    rest = {name: value for name, value in asdict(history).items() if not isinstance(value, list)}
    rest["best_log_prob"] = _short(history.best_log_prob)
    flow.metadata[_KEY] = json.dumps(lists | rest, allow_nan=False)


def kept(flow: Judged) -> History | None:
    """What `keep` has written; None without it, and for one with no epoch, as of a training that went on at its end."""
    try:
        said: dict[str, Any] = json.loads(flow.metadata[_KEY])
        for name, value in said.items():
            said[name] = [_long(each) for each in value] if isinstance(value, list) else value
        return History(**(said | {"best_log_prob": _long(said["best_log_prob"])})) if said["epoch"] else None
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def _short(value: float) -> float | None:
    if isinstance(value, int):
        return value
    return float(f"{value:.7g}") if math.isfinite(value) else None


def _long(value: float | None) -> float:
    return math.nan if value is None else value
