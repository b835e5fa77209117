"""Vector-Jacobian products against PyTorch's autograd, on converted flows of other libraries: see README.md."""

import shutil
from pathlib import Path

import diffeo
import h5py
import numpy as np
import pytest

FILES = sorted((Path(__file__).parent / "gradients").glob("*.h5"))
FUNCTIONS = {  # where a function is evaluated, and what it gives
    "log_prob": ("x", ["log_prob"]),
    "to_noise": ("x", ["z", "log_det"]),
    "from_noise": ("z", ["x", "log_det"]),
    "sample": (None, ["x", "log_prob"]),
}
TOLERANCE = 1e-11  # of |ours - theirs| / (1 + |theirs|); the worst measured is 2.3e-12

golden = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
functions = pytest.mark.parametrize("function", FUNCTIONS)


def test_there_are_files():
    assert len(FILES) == 15


@pytest.fixture
def peer(path, function):
    """All arrays that the other library and autograd computed or were given, by name."""
    with h5py.File(path) as f:
        root, group = f["gradients"], f["gradients"][function]
        context = {"given": root["context"][:]} if "context" in root else {}
        arrays = {name: values[:] for name, values in group.items()}
        return arrays | context | dict(group.attrs) | {"directions": root["directions"][:]}


def close(what, ours, theirs, tolerance):
    assert ours.shape == theirs.shape
    worst = np.max(np.abs(ours - theirs) / (1 + np.abs(theirs)))
    print(f"{what}: worst error {worst:.1e}")  # pytest -rP shows it
    assert worst <= tolerance, f"{what}: worst error {worst:.1e}"


def agrees(flow, function, peer, tolerance):
    where, gives = FUNCTIONS[function]
    context = peer.get("given")
    cotangents = {f"g_{what}": peer[f"g_{what}"] for what in gives}
    if where is None:
        n, seed = len(peer["x"]), peer["seed"]
        values = flow.sample_and_log_prob(n, context, seed=seed)
        gradients = flow.sample_vjp(n, context, seed=seed, **cotangents)
    else:
        values = getattr(flow, function)(peer[where], context)
        gradients = getattr(flow, f"{function}_vjp")(peer[where], context, **cotangents)
    for what, value in zip(gives, values if len(gives) > 1 else [values], strict=True):
        close(what, value, peer[what], tolerance)
    if where:
        close("in the rows", gradients.rows, peer["rows"], tolerance)
    if context is not None:
        close("in the context", gradients.context, peer["context"], tolerance)
    close("along the directions", peer["directions"] @ gradients.parameters, peer["slopes"], tolerance)


@golden
@functions
def test_in_float64(path, function, peer):
    agrees(diffeo.load(path), function, peer, TOLERANCE)


@golden
@functions
def test_in_float32(path, function, peer, tmp_path):
    narrow = tmp_path / "narrow.h5"
    shutil.copyfile(path, narrow)
    with h5py.File(narrow, "r+") as f:
        f.attrs["dtype"] = "float32"
    flow = diffeo.load(narrow)
    assert flow.dtype == np.float32
    agrees(flow, function, peer, 5e-4)
