"""The tree of a weight file, and its bytes."""

from __future__ import annotations

from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, TypeAlias

import numpy.typing as npt

Scalar: TypeAlias = str | int | float | list[int]


@dataclass
class Group:
    """A group: attributes, and datasets and groups by name."""

    attributes: dict[str, Scalar] = field(default_factory=dict)
    children: dict[str, Group | npt.NDArray[Any]] = field(default_factory=dict)

    def add(self, path: str, child: npt.NDArray[Any]) -> None:
        """Put an array at this path, making the groups on the way."""
        head, _, rest = path.partition("/")
        if not rest:
            self.children[head] = child
            return
        inner = self.children.setdefault(head, Group())
        if not isinstance(inner, Group):
            raise ValueError(f"{head} is an array, not a group")
        inner.add(rest, child)


def image(root: Group) -> bytes:
    """The bytes of an HDF5 file."""
    try:
        import h5py
    except ImportError as error:
        raise ImportError("diffeo.exchange writes weight files with h5py: pip install h5py") from error
    file = BytesIO()
    with h5py.File(file, "w") as target:
        _write(target, root)
    return file.getvalue()


def _write(target: Any, group: Group) -> None:
    target.attrs.update(group.attributes)
    for name, child in group.children.items():
        if isinstance(child, Group):
            _write(target.create_group(name), child)
        else:
            target[name] = child
