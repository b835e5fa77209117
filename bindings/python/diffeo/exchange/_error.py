"""What a conversion says when it cannot be had."""

from __future__ import annotations

from typing import Any


class ConversionError(Exception):
    """A part of a flow has no counterpart on the other side, or the two sides differ.

    Attributes
    ----------
    path : str
        Where in the flow, such as ``"_transform._transforms.3"``.
    kind : str
        The class of the part there.
    reason : str
        The message without these.
    """

    def __init__(self, path: str, part: Any, reason: str) -> None:
        self.path, self.reason = path, reason
        self.kind = part if isinstance(part, str) else type(part).__qualname__
        super().__init__(f"{path or 'the flow'} ({self.kind}): {reason}")


class NoCounterpartError(Exception):
    """A layer or a base of Diffeo has no counterpart: its `ConversionError` in the making."""
