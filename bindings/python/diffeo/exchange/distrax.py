"""distrax: a Transformed distribution, whose bijectors go from noise to data.

Bijectors of TensorFlow Probability may be among its own, and its conditioners are functions likewise: _bijectors.py
reads both.
"""

from __future__ import annotations

from typing import Any

from ._check import Source
from .tfp import sourced

MODULES = ("distrax",)


def source(flow: Any, context: int = 0) -> Source:
    """What a Transformed distribution is, or a function that gives one for a context."""
    return sourced("distrax", flow, context)
