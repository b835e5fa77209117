"""The way back: flows of Diffeo as arrays, as flows of nflows and zuko, and as ONNX, with the same numbers."""

import importlib
import io
import pickle
from pathlib import Path

import diffeo
import flows
import h5py
import numpy as np
import pytest
from diffeo.exchange import ConversionError, to_nflows, to_numpy, to_onnx, to_zuko
from every import EVERY, spec

SEED = 3
FLOAT32 = 2e-5  # the worst is a spline of nflows, 9e-6; of affine maps 2e-6
FIXTURES = sorted((Path(__file__).parent / "fixtures").glob("*.h5"))


def randomised(flow, seed=SEED):
    """Random weights in every array of the file, where a new flow has zeros."""
    rng = np.random.default_rng(seed)
    file = io.BytesIO(flow.to_bytes())
    with h5py.File(file, "r+") as root:

        def change(name, item):
            last = name.rpartition("/")[2]
            if name.startswith("self_test") or not hasattr(item, "dtype") or item.dtype.kind != "f":
                return
            if last == "slope":  # of a leaky ReLU
                return
            if last in ("std", "variance"):
                item[...] = np.exp(0.3 * rng.normal(size=item.shape))
            elif last == "initialized":
                item[...] = 1
            elif last == "sign":
                item[...] = rng.choice([-1.0, 1.0], item.shape)
            else:
                item[...] += 0.3 * rng.normal(size=item.shape)

        root.visititems(change)
        if "self_test" in root:
            del root["self_test"]
    return diffeo.from_bytes(file.getvalue())


def in_dtype(flow, dtype):
    """The same weights, rounded; the numbers of the self-test are those of the old dtype."""
    file = io.BytesIO(flow.to_bytes())
    with h5py.File(file, "r+") as root:
        root.attrs["dtype"] = dtype
        del root["self_test"]
    return diffeo.from_bytes(file.getvalue())


every = pytest.mark.parametrize("name", EVERY)


def rows(flow, count=30):
    rng = np.random.default_rng(0)
    context = rng.normal(size=(count, flow.context_dim)) if flow.context_dim else None
    return 1.5 * rng.normal(size=(count, flow.dim)), context


def close(ours, theirs, tolerance=1e-9):
    assert np.isfinite(theirs).all()
    np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)


def test_arrays():
    flow = diffeo.maf(3, transforms=2, hidden=(5,), context_dim=2)
    flow.metadata["columns"] = "a, b, c"
    arrays = to_numpy(flow)
    assert arrays["/"]["format"] == "diffeo"
    assert arrays["/"]["dim"] == 3
    assert arrays["/"]["event_shape"] == [3]
    assert arrays["base"] == {"kind": "standard_normal"}
    assert arrays["layers/001"]["kind"] == "autoregressive"
    assert arrays["layers/001/network/0/weight"].shape == (5, 5)
    assert arrays["layers/001/network/0/weight"].dtype == np.float32
    assert arrays["layers/001/order"].tolist() == [0, 1, 2]
    assert arrays["metadata"] == {"columns": "a, b, c"}
    with h5py.File(io.BytesIO(flow.to_bytes())) as file:
        names = []
        file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
        assert names == [name for name, value in arrays.items() if not isinstance(value, dict)]
        for name in names:
            np.testing.assert_array_equal(arrays[name], file[name][()])


@every
def test_arrays_of_every_flow(name):
    assert to_numpy(EVERY[name])["/"]["dim"] == EVERY[name].dim


TO = {"nflows": to_nflows, "zuko": to_zuko}


CHOSEN = [
    "maf-options", "spline_coupling", "spline-zuko", "two-networks", "preactivation-gate", "planar", "mixture-normal",
    "domain-logit", "base-mixture", "base-student_t-given", "base-made-mixture",
]  # fmt: skip


@pytest.mark.parametrize("library", TO)
@pytest.mark.parametrize("name", CHOSEN)
def test_pickled_and_in_float32(library, name):
    torch = pytest.importorskip("torch")
    pytest.importorskip(library)
    flow = in_dtype(randomised(EVERY[name]), "float32")
    theirs = pickle.loads(pickle.dumps(TO[library](flow)))
    assert not theirs.training
    assert {parameter.dtype for parameter in theirs.parameters()} <= {torch.float32}
    x, context = (None if values is None else values.astype(np.float32) for values in rows(flow))
    density = flows.log_prob(library, theirs, x, context)
    assert density.dtype == np.float32
    close(flow.log_prob(x, context), density, FLOAT32)


@pytest.mark.parametrize("library", TO)
def test_float32_and_samples(library):
    torch = pytest.importorskip("torch")
    pytest.importorskip(library)
    flow = randomised(diffeo.maf(3, transforms=2, hidden=(16, 16)))
    theirs = TO[library](flow)
    assert {parameter.dtype for parameter in theirs.parameters()} == {torch.float32}
    assert any(parameter.requires_grad for parameter in theirs.parameters())
    torch.set_default_dtype(torch.float32)
    with torch.no_grad():
        x = theirs().sample((50,)) if library == "zuko" else theirs.sample(50)
        density = theirs().log_prob(x) if library == "zuko" else theirs.log_prob(x)
    close(flow.log_prob(x.numpy()), density.numpy(), 1e-4)


@pytest.mark.parametrize("library", TO)
def test_what_float32_spoils_is_refused(library, monkeypatch):
    torch = pytest.importorskip("torch")
    pytest.importorskip(library)
    from diffeo.exchange import _nets

    class Coarse(torch.nn.Module):
        def forward(self, a):
            return torch.relu(a if a.dtype == torch.float64 else a.bfloat16().float())

    flow = randomised(diffeo.maf(3, transforms=2, hidden=(16, 16)))
    monkeypatch.setitem(_nets.ACTIVATIONS, "relu", Coarse)
    with pytest.raises(ConversionError, match="in float32 differs"):
        TO[library](flow)


@pytest.mark.parametrize("library", TO)
def test_masks_stay(library):
    """What is trained on remains autoregressive."""
    torch = pytest.importorskip("torch")
    pytest.importorskip(library)
    flow = randomised(spec(4, ("autoregressive", {"hidden": (16, 12), "order": [2, 0, 3, 1]})))
    theirs = TO[library](flow)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype))
    torch.set_default_dtype(torch.float64)
    x = torch.randn(4, generator=generator, dtype=torch.float64)

    def to_noise(x):
        return theirs.transform()(x) if library == "zuko" else theirs._transform(x[None])[0][0]

    jacobian = torch.autograd.functional.jacobian(to_noise, x)[[2, 0, 3, 1]][:, [2, 0, 3, 1]]
    assert torch.equal(jacobian.triu(1), torch.zeros_like(jacobian))
    assert (jacobian.tril() != 0).any()


def theirs_by_name():
    for library in TO:
        try:
            importlib.import_module(library)
        except ImportError:
            yield pytest.param(library, None, None, marks=pytest.mark.skip(f"{library} is not installed"))
            continue
        for name, theirs in flows.named(library).items():
            yield pytest.param(library, name, theirs, id=f"{library}-{name}")


# What does not go back
ONE_WAY = dict.fromkeys((("nflows", "images"), ("nflows", "images-spline")), "images") | {
    ("zuko", "probit"): "the map probit"
}


@pytest.mark.parametrize(("library", "name", "theirs"), theirs_by_name())
def test_there_and_back(library, name, theirs):
    """From a library to Diffeo and back, or refused by name."""
    flow = diffeo.convert(theirs, dtype="float64")
    export = TO[library]
    if (library, name) in ONE_WAY:
        with pytest.raises(ConversionError, match=ONE_WAY[library, name]):
            export(flow)
        return
    x, context = rows(flow)
    x = flow.sample(30, context, seed=1)
    again = export(flow)
    close(flows.log_prob(library, theirs, x, context), flows.log_prob(library, again, x, context))


# Of modules that are these libraries' own, for which Diffeo has a converter
BOTH = (
    "maf", "maf-options", "maf-one-column", "iaf", "realnvp", "realnvp-options", "realnvp-one-column", "glow",
    "plain-shift", "permutation", "actnorm", "lu", "householder", "standardize", "base-normal",
    *(name for name in EVERY if name.partition("-")[0] in ("scale", "activation", "residual", "preactivation")),
)  # fmt: skip
AGAIN = {"nflows": ("iaf-context", "spline_coupling", "spline_autoregressive"), "zuko": ("base-mixture",)}


@pytest.mark.parametrize(("library", "name"), [(library, name) for library in TO for name in BOTH + AGAIN[library]])
def test_again(library, name):
    """From Diffeo to a library and back."""
    pytest.importorskip(library)
    flow = randomised(EVERY[name])
    again = diffeo.convert(TO[library](flow), dtype="float64")
    x, context = rows(flow)
    if again.context_dim == 0:  # nothing reads it
        context = None
    close(flow.log_prob(*rows(flow)), again.log_prob(x, context))


def test_onnx_is_checked(tmp_path, monkeypatch):
    pytest.importorskip("onnx")
    from diffeo.exchange import _to_onnx

    monkeypatch.setitem(_to_onnx.ACTIVATIONS, "relu", lambda m, a: m.maximum(a, 1e-6))
    with pytest.raises(ConversionError, match="in float64 differs"):
        to_onnx(randomised(diffeo.maf(3, transforms=2, hidden=(16, 16))), tmp_path / "flow.onnx")
    assert not list(tmp_path.iterdir())


# ------------------------------------------------------------------------------------------------ fixtures of everybody


def golden(path):
    with h5py.File(path) as file:
        found = {name: values[()] for name, values in file["golden"].items()}
    return found["x"], found.get("context"), found["log_prob"]


@pytest.mark.parametrize("library", TO)
def test_fixtures(library):
    """What any library trained goes to these two, with that library's numbers, or is refused."""
    pytest.importorskip(library)
    done, refusals = [], []
    for path in FIXTURES:
        x, context, expected = golden(path)
        try:
            theirs = TO[library](diffeo.load(path))
        except ConversionError as error:
            refusals.append(error.path)
            continue
        done.append(path.stem)
        density = flows.log_prob(library, theirs, x, context)
        np.testing.assert_allclose(density, expected, rtol=1e-9, atol=1e-9, err_msg=path.stem)
    assert len(done) > 30, done
    assert all(refusals), "a flow was refused as a whole: the two sides differ"


def test_fixtures_onnx(tmp_path):
    pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    done, refusals = [], []
    for path in FIXTURES:
        x, context, expected = golden(path)
        try:
            to_onnx(diffeo.load(path), tmp_path / "flow.onnx")
        except ConversionError as error:
            refusals.append(error.path)
            continue
        done.append(path.stem)
        session = runtime.InferenceSession(tmp_path / "flow.onnx", providers=["CPUExecutionProvider"])
        (density,) = session.run(None, {"x": x} | ({} if context is None else {"context": context}))
        np.testing.assert_allclose(density, expected, rtol=1e-9, atol=1e-9, err_msg=path.stem)
    assert len(done) > 30, done
    assert all(refusals), "a flow was refused as a whole: the two sides differ"
