"""docs/weight-file.md is enough to write and to read a weight file with h5py and numpy alone."""

import os
import re
from pathlib import Path

import numpy as np
import pytest

h5py = pytest.importorskip("h5py")
diffeo = pytest.importorskip("diffeo")

DOCUMENT = Path(__file__).parents[2] / "docs" / "weight-file.md"


@pytest.fixture
def written(tmp_path):
    """The names that the document's program leaves behind, and the path of the file it writes."""
    (program,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    names, here = {}, os.getcwd()
    os.chdir(tmp_path)
    try:
        exec(program, names)
    finally:
        os.chdir(here)
    return names, tmp_path / "flow.h5"


def test_the_document_s_program_writes_a_valid_file(written):
    names, path = written
    flow = diffeo.load(str(path))
    np.testing.assert_allclose(flow.log_prob(names["x"]), names["log_prob"], rtol=1e-12)


def test_its_self_test_guards_it(written):
    names, path = written
    with h5py.File(path, "r+") as f:
        f["layers/002/shift"][0] += 1e-3
    with pytest.raises(Exception, match="self-test"):
        diffeo.load(str(path))


def test_a_saved_file_is_as_documented(written, tmp_path):
    names, path = written
    diffeo.load(str(path)).save(str(tmp_path / "again.h5"))
    with h5py.File(tmp_path / "again.h5") as f:
        assert f.attrs["format"] == b"diffeo"
        assert list(f.attrs["format_version"]) == [1, 0]
        assert f.attrs["dtype"] == b"float64"
        assert f.attrs["dim"] == 3 and f.attrs["context_dim"] == 0 and list(f.attrs["event_shape"]) == [3]
        assert f["base"].attrs["kind"] == b"standard_normal"
        assert [f["layers"][i].attrs["kind"] for i in ("000", "001", "002")] == [
            b"standardize", b"permutation", b"actnorm"]
        for i, (_, arrays) in enumerate(names["layers"]):
            for name, values in arrays.items():
                np.testing.assert_array_equal(f[f"layers/{i:03}/{name}"], values)
        assert f["self_test/x"].shape == (5, 3) and f["self_test/log_prob"].shape == (5,)


# --------------------------------------------------------------------------------------------------------------------
# A second reader of the format, made from the document.

ACTIVATIONS = {
    "relu": lambda a: np.maximum(a, 0),
    "tanh": np.tanh,
    "elu": lambda a: np.where(a > 0, a, np.expm1(a)),
    "silu": lambda a: a / (1 + np.exp(-a)),
    "leaky_relu": lambda a: np.where(a > 0, a, 0.01 * a),
    "softplus": lambda a: np.logaddexp(0, a),
    "sigmoid": lambda a: 1 / (1 + np.exp(-a)),
    "gelu": lambda a: 0.5 * a * (1 + np.tanh(np.sqrt(2 / np.pi) * (a + 0.044715 * a**3))),
}
LOG_SCALES = {
    "soft_clip": lambda a, c, e: a / (1 + np.abs(a) / c),
    "exp": lambda a, c, e: a,
    "tanh": lambda a, c, e: c * np.tanh(a / c),
    "softplus": lambda a, c, e: np.log(np.logaddexp(0, a + np.log(np.expm1(1 - e))) + e),
    "sigmoid": lambda a, c, e: np.log(1 / (1 + np.exp(-a - 2)) + e),
}


def network(layer, inputs, masks=None):
    """Its outputs, as one a and one t for each transformed column: log s and t."""
    count = len(layer["network"])
    for i in range(count):
        weight = layer[f"network/{i}/weight"][:]
        inputs = inputs @ (weight if masks is None else weight * masks[i]).T + layer[f"network/{i}/bias"][:]
        if i < count - 1:
            inputs = ACTIVATIONS[layer.attrs["activation"].decode()](inputs)
    rule = layer.attrs["scale"].decode()
    if rule == "additive":
        return np.zeros_like(inputs), inputs
    a, t = inputs[:, 0::2], inputs[:, 1::2]
    return LOG_SCALES[rule](a, layer.attrs["scale_bound"], layer.attrs["scale_epsilon"]), t


def coupling(layer, x, context, inverse):
    kept = layer["mask"][:] == 1
    log_scale, t = network(layer, np.hstack([x[:, kept], context]))
    z = x.copy()
    z[:, ~kept] = (x[:, ~kept] - t) * np.exp(-log_scale) if inverse else x[:, ~kept] * np.exp(log_scale) + t
    return z, (-1 if inverse else 1) * log_scale.sum(axis=1)


def autoregressive(layer, x, context, inverse):
    dim, order = x.shape[1], layer["order"][:]
    place = np.empty(dim, int)
    place[order] = np.arange(1, dim + 1)
    sees = np.concatenate([place, np.zeros(context.shape[1], int)])
    masks = []
    for i in range(len(layer["hidden"])):
        degrees = layer[f"degrees_{i}"][:]
        masks.append(degrees[:, None] >= sees)
        sees = degrees
    outputs = 1 if layer.attrs["scale"] == b"additive" else 2
    masks.append(np.repeat(place, outputs)[:, None] > sees)
    if not inverse:
        log_scale, t = network(layer, np.hstack([x, context]), masks)
        return x * np.exp(log_scale) + t, log_scale.sum(axis=1)
    z = np.zeros_like(x)
    for column in order:
        log_scale, t = network(layer, np.hstack([z, context]), masks)
        z[:, column] = ((x - t) * np.exp(-log_scale))[:, column]
    log_scale, _ = network(layer, np.hstack([z, context]), masks)
    return z, -log_scale.sum(axis=1)


def affine(log_scale, shift, x, inverse):
    z = (x - shift) * np.exp(-log_scale) if inverse else x * np.exp(log_scale) + shift
    return z, (-1 if inverse else 1) * log_scale.sum()


def forward(layer, x, context):
    kind, inverse = layer.attrs["kind"].decode(), bool(layer.attrs.get("inverse", 0))
    if kind == "standardize":
        return affine(np.log(layer["std"][:]), layer["mean"][:], x, not inverse)
    if kind == "actnorm":
        return affine(layer["log_scale"][:], layer["shift"][:], x, inverse)
    if kind == "permutation":
        order = layer["permutation"][:]
        return x[:, np.argsort(order) if inverse else order], 0
    return {"coupling": coupling, "autoregressive": autoregressive}[kind](layer, x, context, inverse)


def log_prob(f, x, context):
    if "context" in f:
        context = forward(f["context"], context, None)[0]
    total = np.zeros(len(x))
    for name in sorted(f["layers"], key=int):
        x, log_det = forward(f["layers"][name], x, context)
        total += log_det
    return total - 0.5 * (x**2 + np.log(2 * np.pi)).sum(axis=1)


@pytest.mark.parametrize("scale", [*LOG_SCALES, "additive"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_document_tells_what_a_file_means(tmp_path, activation, scale):
    rng = np.random.default_rng(1)
    spec = diffeo.Spec(dim=4, context_dim=2, dtype="float64")
    spec.standardize_context([0.5, -1], [1, 2]).add_standardize([1, 2, 3, 4], [0.5, 1, 2, 3])
    spec.add_permutation([2, 0, 3, 1]).add_actnorm()
    spec.add_coupling((5, 6), activation=activation, scale=scale, mask="odd")
    for inverse in False, True:
        spec.add_autoregressive((7, 6), activation=activation, scale=scale, order="random", seed=3)
        if inverse:
            spec.invert()
    path = tmp_path / "flow.h5"
    spec.build().save(path)

    # Other parameters than a new flow's, those that a mask hides among them.
    with h5py.File(path, "r+") as f:
        del f["self_test"]
        noise = ("weight", "bias", "log_scale", "shift")
        f.visititems(lambda name, item: name.endswith(noise) and item.write_direct(0.5 * rng.normal(size=item.shape)))
    x, context = rng.normal(size=(20, 4)), rng.normal(size=(20, 2))
    with h5py.File(path) as f:
        expected = log_prob(f, x, context)
    np.testing.assert_allclose(diffeo.load(path).log_prob(x, context), expected, rtol=1e-11)
