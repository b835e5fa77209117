"""Flows of zuko, nflows and flowjax, evaluated by Diffeo: see README.md. Loading checks /self_test, to 1e-9."""

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

import diffeo

FILES = sorted(Path(__file__).parent.glob("*.h5"))
TOLERANCE = 1e-10  # of |ours - theirs| / (1 + |theirs|); README.md has what is reached

golden = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)


@pytest.fixture
def peer(path):
    """All arrays that the other library computed or was given, by name."""
    with h5py.File(path) as f:
        return {name: values[:] for group in ("self_test", "golden") for name, values in f[group].items()}


def close(what, ours, theirs, record):
    assert ours.shape == theirs.shape
    worst = np.max(np.abs(ours - theirs) / (1 + np.abs(theirs)))
    record(what, worst)
    assert worst <= TOLERANCE, f"{what}: worst error {worst:.2g}"


def test_there_are_files():
    assert len(FILES) == 12


@golden
def test_log_prob(path, peer, record_property):
    log_prob = diffeo.load(path).log_prob(peer["x"], peer.get("context"))
    close("log_prob", log_prob, peer["log_prob"], record_property)


@golden
def test_to_noise(path, peer, record_property):
    z, log_det = diffeo.load(path).to_noise(peer["x"], peer.get("context"))
    close("z", z, peer["z"], record_property)
    close("log_det", log_det, peer["log_det"], record_property)


@golden
def test_from_noise(path, peer, record_property):
    x, log_det = diffeo.load(path).from_noise(peer["noise"], peer.get("context"))
    close("from_noise", x, peer["from_noise"], record_property)
    close("from_noise_log_det", log_det, peer["from_noise_log_det"], record_property)


@golden
def test_gradient(path, peer, record_property):
    flow, context = diffeo.load(path), peer.get("context")
    close("gradient", flow.grad_log_prob(peer["x"], context), peer["gradient"], record_property)
    if context is not None:
        ours = flow.grad_log_prob_context(peer["x"], context)
        close("gradient_context", ours, peer["gradient_context"], record_property)


@golden
def test_float32_results_agree_too(path, peer):
    x, context = peer["x"].astype(np.float32), peer.get("context")
    log_prob = diffeo.load(path).log_prob(x, None if context is None else context.astype(np.float32))
    assert log_prob.dtype == np.float32
    np.testing.assert_allclose(log_prob, peer["log_prob"], rtol=1e-4, atol=1e-4)


def parameters(path):
    """The parameters of all layers that every row's density depends on."""
    with h5py.File(path) as f:
        for layer in f["layers"].values():
            if layer.attrs["kind"] in ("coupling", "autoregressive"):
                yield layer[f"network/{len(layer['network']) - 1}/bias"].name
            elif layer.attrs["kind"] != "permutation":
                yield from (layer[name].name for name in layer if name not in ("initialized", "inverse"))
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
