"""What a conversion found, for who reads on: in the metadata of the flow, and so in its file."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..flow import Flow
from ._layers import Layer

KEY = "conversion"  # of the metadata
SMALL = 1e-2  # a scale below this takes noise far from the data


@dataclass(frozen=True)
class Report:
    """What `convert` found when it compared both sides.

    Attributes
    ----------
    source : str
        The library and the class.
    dtype : str
        What the new flow computes in.
    rows : int
        Compared ones: samples of the flow and wider ones in float64, and 256 samples in float32.
    left_out : int
        Rows that were not, since a side left the range of its type, the flow its support, or rounding too few digits.
    float64 : float
        The largest error of log_prob, relative to ``1 + |log_prob|``, both sides in float64.
    float32 : float, optional
        The same of Diffeo in float32, if that is what the new flow computes in.
    source_float32 : float, optional
        The same of the library itself in float32, where that could be measured.
    by_hand : tuple of str
        What the flow does not do that its holder did.
    notes : tuple of str
        What else there is to know of the flow.
    """

    source: str
    dtype: str
    rows: int
    left_out: int
    float64: float
    float32: float | None = None
    source_float32: float | None = None
    by_hand: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Some lines."""
        left = f", {self.left_out} left out (beyond the range, the support, or six digits)" if self.left_out else ""
        lines = [f"{self.source}, on {self.rows} rows{left}", f"largest error in float64: {self.float64:.1e}"]
        if self.float32 is not None:
            own = "not measured" if self.source_float32 is None else f"{self.source_float32:.1e}"
            lines.append(f"largest error in float32: {self.float32:.1e}; of the library itself: {own}")
        return "\n".join([*lines, *(f"by hand: {each}" for each in self.by_hand), *self.notes])

    def to_json(self) -> str:
        """As the metadata have it."""
        return json.dumps(asdict(self))


def report(flow: Flow) -> Report:
    """What `convert` found when it made this flow; it is in the metadata of the flow, also of a loaded one.

    Parameters
    ----------
    flow : Flow
        A converted flow.

    Returns
    -------
    Report

    Raises
    ------
    ValueError
        If the flow was not converted, or its metadata were changed.
    """
    text = flow.metadata.get(KEY)
    if text is None:
        raise ValueError(f"the flow has no {KEY!r} in its metadata, as one that was converted has")
    try:
        values: dict[str, Any] = json.loads(text)
        lists: dict[str, Any] = {name: tuple(each) for name, each in values.items() if isinstance(each, list)}
        return Report(**{**values, **lists})
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"the {KEY!r} in the metadata of the flow is none of a conversion: {error}") from error


def small_scales(layers: Iterable[Layer]) -> tuple[str, ...]:
    """A note where the scale of an affine layer, from data to noise, can fall below 0.01."""
    least = [_least(layer) for layer in layers]
    small = [each for each in least if each < SMALL]
    if not small:
        return ()
    layers_are = "the scale of 1 affine layer" if len(small) == 1 else f"the scales of {len(small)} affine layers"
    lowest = f"to {min(small):.1g}" if min(small) > 0 else "without a bound"
    return (f"{layers_are} can fall below {SMALL:g}, {lowest}: samples can lie far from the data there",)


def _least(layer: Layer) -> float:
    """What the scale of an affine layer, toward noise, does not fall below; of other layers infinite."""
    if layer.transformer is None or layer.transformer.attributes["transformer"] != "affine":
        return np.inf
    words = layer.transformer.attributes
    turned = layer.inverse != bool(layer.attributes.get("inverse_map", 0))
    bound, epsilon = (float(str(words[name])) for name in ("scale_bound", "scale_epsilon"))
    held = tuple(
        float(np.exp(float(str(words.get(f"log_scale_{end}", far))))) for end, far in (("low", -5), ("high", 3))
    )
    low, high = {
        "additive": (1.0, 1.0),
        "exp": (0.0, np.inf),
        "tanh": (np.exp(-bound), np.exp(bound)),
        "soft_clip": (np.exp(-bound), np.exp(bound)),
        "atan": (np.exp(-0.5 * np.pi * bound), np.exp(0.5 * np.pi * bound)),
        "skewed_clip": (np.exp(-bound / 3), np.exp(bound)),
        "softplus": (epsilon, np.inf),
        "softplus_arsinh": (0.0, np.inf),
        "clamped_softplus": (epsilon, bound),
        "sigmoid": (epsilon, 1 + epsilon),
        "gated": (0.0, 1.0),
        "reciprocal_sigmoid": (1.0, np.inf),
        "clamped_exp": held,
        "clipped_softplus": held,
    }.get(str(words["scale"]), (1.0, 1.0))
    return float(1 / high if turned else low)
