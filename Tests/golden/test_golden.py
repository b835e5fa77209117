"""Flows of zuko, nflows, normflows, flowjax and torch, evaluated by Diffeo: see README.md. Loading checks /self_test, to 1e-9."""

import shutil
from pathlib import Path

import diffeo
import h5py
import numpy as np
import pytest

FILES = sorted(Path(__file__).parent.glob("*.h5"))
TOLERANCE = 1e-12  # of |ours - theirs| / (1 + |theirs|); the worst measured is 3.9e-14

golden = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)


@pytest.fixture
def peer(path):
    """All arrays that the other library computed or was given, by name."""
    with h5py.File(path) as f:
        return {name: values[:] for group in ("self_test", "golden") for name, values in f[group].items()}


def close(what, ours, theirs, tolerance=TOLERANCE):
    assert ours.shape == theirs.shape
    worst = np.max(np.abs(ours - theirs) / (1 + np.abs(theirs)))
    print(f"{what}: worst error {worst:.1e}")  # pytest -rP shows it
    assert worst <= tolerance, f"{what}: worst error {worst:.1e}"


def test_there_are_files():
    assert len(FILES) == 37


@golden
def test_log_prob(path, peer):
    log_prob = diffeo.load(path).log_prob(peer["x"], peer.get("context"))
    close("log_prob", log_prob, peer["log_prob"])


@golden
def test_to_noise(path, peer):
    z, log_det = diffeo.load(path).to_noise(peer["x"], peer.get("context"))
    close("z", z, peer["z"])
    close("log_det", log_det, peer["log_det"])


@golden
def test_from_noise(path, peer):
    x, log_det = diffeo.load(path).from_noise(peer["noise"], peer.get("context"))
    close("from_noise", x, peer["from_noise"])
    close("from_noise_log_det", log_det, peer["from_noise_log_det"])


@golden
def test_gradient(path, peer):
    flow, context = diffeo.load(path), peer.get("context")
    close("gradient", flow.grad_log_prob(peer["x"], context), peer["gradient"])
    if context is not None:
        ours = flow.grad_log_prob_context(peer["x"], context)
        close("gradient_context", ours, peer["gradient_context"])


@golden
def test_in_float32(path, peer, tmp_path):
    narrow, context = tmp_path / "narrow.h5", peer.get("context")
    shutil.copyfile(path, narrow)
    with h5py.File(narrow, "r+") as f:
        f.attrs["dtype"] = "float32"
    flow = diffeo.load(narrow)
    assert flow.dtype == np.float32
    close("log_prob", flow.log_prob(peer["x"], context), peer["log_prob"], 1e-4)
    z, log_det = flow.to_noise(peer["x"], context)
    close("z", z, peer["z"], 1e-4)
    close("log_det", log_det, peer["log_det"], 1e-4)
    x, _ = flow.from_noise(peer["noise"], context)
    close("from_noise", x, peer["from_noise"], 1e-4)


def parameters(path):
    """Parameters of every component that every row's density depends on."""
    with h5py.File(path) as f:
        for component in *f["layers"].values(), f["base"]:
            if "network" in component:
                yield component[f"network/{len(component['hidden'])}/bias"].name
            elif component.attrs["kind"] != "permutation":
                # of lower, upper and sign not all is used
                lists = "initialized", "permutation", "columns", "shape", "lower", "upper", "sign"
                yield from (component[name].name for name in component if name not in lists)
        if "context" in f:
            yield from ("/context/mean", "/context/std")


@golden
def test_a_wrong_parameter_fails_the_self_test(path, tmp_path):
    names = list(parameters(path))
    assert names
    for name in names:
        wrong = tmp_path / "wrong.h5"
        shutil.copyfile(path, wrong)
        with h5py.File(wrong, "r+") as f:
            f[name][0] += 1e-5
        with pytest.raises(ValueError, match="self-test"):
            diffeo.load(wrong)


@golden
def test_a_saved_copy_is_the_same_flow(path, peer, tmp_path):
    flow, context = diffeo.load(path), peer.get("context")
    flow.save(tmp_path / "copy.h5")
    copy = diffeo.load(tmp_path / "copy.h5")
    np.testing.assert_array_equal(copy.log_prob(peer["x"], context), flow.log_prob(peer["x"], context))
    assert dict(copy.metadata) == dict(flow.metadata)
