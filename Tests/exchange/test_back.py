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
from diffeo.spec import Spec, Spline

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


def spec(dim, *layers, context=0, base=None, standardize=False, dtype="float64"):
    """A flow of layers (kind, options), an inverted one with a minus before its kind."""
    made = Spec(dim, context, dtype=dtype)
    for kind, options in layers:
        getattr(made, f"add_{kind.removeprefix('-')}")(**options)
        if kind.startswith("-"):
            made.invert()
    if standardize:
        made.standardize_context(np.arange(context) * 0.3, np.arange(1.0, context + 1))
    if base:
        name, options = base
        made.set_base(name, **options)
    return made.build(seed=1)


SMALL = {"hidden": (7, 6)}
BLOCKS = {"hidden": (6, 6, 5), "blocks": "preactivation", "activation": "tanh"}
SCALES = [
    "soft_clip", "exp", "tanh", "softplus", "sigmoid", "additive", "gated", "clamped_softplus", "clamped_exp",
    "reciprocal_sigmoid", "atan", "skewed_clip",
]  # fmt: skip
ACTIVATIONS = ["relu", "tanh", "elu", "silu", "leaky_relu", "softplus", "sigmoid", "gelu", "gelu_erf"]
ZUKO = {
    "transformer": Spline(5, -3, 3, min_width=0, min_height=0, logit_bound=np.log(1000) / 2, derivative="exp")
}  # fmt: skip


def named():
    """Flows by name, and who has something for them: n(flows), z(uko), o(nnx)."""
    named64 = {"hidden": (9, 8), "dtype": "float64", "transforms": 2}
    given = {**named64, "context_dim": 2}
    linear = [("lu", {}), ("-lu", {}), ("householder", {"reflections": 3}), ("-householder", {"reflections": 2})]
    simple = [
        ("actnorm", {}), ("-actnorm", {}), ("elementwise_affine", {"shift": False}), ("batch_norm", {}),
        ("-batch_norm", {}), ("standardize", {}), ("-standardize", {}), ("permutation", {"permutation": [2, 0, 1, 3]}),
        ("-permutation", {"permutation": [2, 0, 1, 3]}),
    ]  # fmt: skip
    elements = [
        ("elementwise", {"scale": "tanh"}),
        ("-elementwise", {"columns": [1, 3], "scale": "sigmoid"}),
        ("elementwise", {"columns": [0], "scale": "additive"}),
    ]
    found = {
        "maf": ("nzo", diffeo.maf(4, **named64)),
        "maf-parts": ("nzo", diffeo.maf(4, actnorm=True, batch_norm=True, random_order=True, **given)),
        "maf-mixture": ("", diffeo.maf(4, components=3, **named64)),
        "maf-one-column": ("nzo", diffeo.maf(1, **named64)),
        "maf-one-column-context": ("nzo", diffeo.maf(1, **given)),
        "iaf": ("nzo", diffeo.iaf(4, **named64)),
        "iaf-context": ("no", diffeo.iaf(4, **given)),
        "realnvp": ("nzo", diffeo.realnvp(5, **given)),
        "realnvp-one-column": ("nzo", diffeo.realnvp(1, **given)),
        "realnvp-random": ("nzo", diffeo.realnvp(5, random_order=True, actnorm=True, scale="tanh", **named64)),
        "glow": ("nzo", diffeo.glow(4, **given)),
        "nice": ("o", diffeo.nice(4, **named64)),
        "planar": ("", diffeo.planar(4, transforms=2, dtype="float64")),
        "spline-coupling": ("n", diffeo.spline_coupling(4, **given)),
        "spline-autoregressive": ("n", diffeo.spline_autoregressive(4, **given)),
        "spline-torus": ("", diffeo.spline_coupling(4, periodic=True, **named64)),
        "linear": ("nzo", spec(4, *linear)),
        "simple": ("nzo", spec(4, *simple, base=("normal", {}))),
        "elementwise": ("nzo", spec(4, *elements)),
        "elementwise-context": ("nzo", spec(4, *elements, ("elementwise", {"hidden": (5,)}), context=2)),
        "conditional-normal": ("no", spec(3, ("reverse", {}), context=2, base=("normal", {"hidden": (5,)}))),
        "no-layers": ("nzo", spec(3)),
        "zuko-splines": ("z", spec(4, ("autoregressive", SMALL | ZUKO), ("-coupling", SMALL | ZUKO), context=1)),
        "zuko-splines-alone": ("z", spec(4, ("elementwise", ZUKO), ("elementwise", ZUKO | {"columns": [1]}))),
        "spline-elementwise": ("n", spec(4, ("elementwise", {"transformer": Spline(4, -2, 2), "columns": [0, 2]}))),
        "spline-box": ("", spec(4, ("coupling", SMALL | {"transformer": Spline(4, -1, 2)}))),
        "two-networks": (
            "nzo",
            spec(5, ("coupling", SMALL | {"scale_activation": "tanh", "scale": "exp"}), context=1, standardize=True),
        ),
        "two-networks-sigmoid": (
            "nzo",
            spec(5, ("coupling", SMALL | {"scale_activation": "tanh", "scale": "sigmoid", "scale_epsilon": 1e-3})),
        ),
        "inverse-map": ("zo", spec(4, ("autoregressive", SMALL | {"inverse_map": True}), ("-autoregressive", SMALL))),
        "inverse-map-inverted": ("zo", spec(4, ("-autoregressive", SMALL | {"inverse_map": True}))),
        "direct": ("", spec(4, ("autoregressive", SMALL | {"direct": True}))),
        "domain": ("", spec(4, ("domain", {"domain": "leaky_relu", "columns": [0], "low": 0.5}))),
        "logistic": ("o", spec(4, ("coupling", SMALL), base=("logistic", {}))),
        "mixture-cdf": ("", spec(4, ("coupling", SMALL | {"transformer": diffeo.Mixture(3)}))),
    }
    for scale in SCALES:
        kinds = "coupling", "-coupling", "autoregressive", "-autoregressive"
        chain = [(kind, SMALL | {"scale": scale}) for kind in kinds]
        found[f"scale-{scale}"] = ("nzo", spec(4, *chain, context=1, standardize=True))
    for activation in ACTIVATIONS:
        chain = [(kind, SMALL | {"activation": activation}) for kind in ("coupling", "autoregressive")]
        found[f"activation-{activation}"] = ("nzo", spec(3, *chain))
    for blocks in ("residual", "preactivation"):
        for mode in ("input", "gate", "shift"):
            options = BLOCKS | {"blocks": blocks, "context_mode": mode, "normalized": blocks == "preactivation"}
            chain = [(kind, options) for kind in ("coupling", "autoregressive")]
            found[f"{blocks}-{mode}"] = ("nzo", spec(4, *chain, context=2, standardize=True))
    chain = [(kind, SMALL | {"context_mode": "shift"}) for kind in ("coupling", "autoregressive")]
    found["plain-shift"] = ("nzo", spec(4, *chain, context=2, standardize=True))
    return found


NAMED = named()
every = pytest.mark.parametrize("name", NAMED)


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
    assert to_numpy(NAMED[name][1])["/"]["dim"] == NAMED[name][1].dim


def refused(export, *arguments):
    with pytest.raises(ConversionError) as error:
        export(*arguments)
    assert error.value.path == "base" or error.value.path.startswith("layers/0")


TO = {"nflows": ("n", to_nflows), "zuko": ("z", to_zuko)}


@pytest.mark.parametrize("library", TO)
@every
def test_libraries(library, name):
    """With random weights; then the same in float32, and pickled."""
    pytest.importorskip(library)
    letter, export = TO[library]
    who, flow = NAMED[name]
    flow = randomised(flow)
    if letter not in who:
        return refused(export, flow)
    theirs = export(flow)
    x, context = rows(flow)
    close(flow.log_prob(x, context), flows.log_prob(library, theirs, x, context))
    again = pickle.loads(pickle.dumps(theirs))
    close(flow.log_prob(x, context), flows.log_prob(library, again, x, context))
    assert not theirs.training
    return None


@pytest.mark.parametrize("library", TO)
@every
def test_libraries_in_float32(library, name):
    torch = pytest.importorskip("torch")
    pytest.importorskip(library)
    letter, export = TO[library]
    who, flow = NAMED[name]
    if letter not in who:
        pytest.skip(f"{library} has nothing for it")
    flow = in_dtype(randomised(flow), "float32")
    theirs = export(flow)
    x, context = (None if values is None else values.astype(np.float32) for values in rows(flow))
    assert {parameter.dtype for parameter in theirs.parameters()} <= {torch.float32}
    density = flows.log_prob(library, theirs, x, context)
    assert density.dtype == np.float32
    close(flow.log_prob(x, context), density, FLOAT32)


@pytest.mark.parametrize("library", TO)
def test_float32_and_samples(library):
    torch = pytest.importorskip("torch")
    pytest.importorskip(library)
    flow = randomised(diffeo.maf(3, transforms=2, hidden=(16, 16)))
    theirs = TO[library][1](flow)
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
        TO[library][1](flow)


@pytest.mark.parametrize("library", TO)
def test_masks_stay(library):
    """What is trained on remains autoregressive."""
    torch = pytest.importorskip("torch")
    pytest.importorskip(library)
    flow = randomised(spec(4, ("autoregressive", {"hidden": (16, 12), "order": [2, 0, 3, 1]})))
    theirs = TO[library][1](flow)
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


# What converts to Diffeo and not to where it came from
ONE_WAY = {"nflows": {"nonlinear"}, "zuko": {"mixture", "mixture-spherical", "mixture-context"}}


def theirs_by_name():
    for library in TO:
        try:
            importlib.import_module(library)
        except ImportError:
            yield pytest.param(library, None, None, marks=pytest.mark.skip(f"{library} is not installed"))
            continue
        for name, theirs in flows.named(library).items():
            yield pytest.param(library, name, theirs, id=f"{library}-{name}")


@pytest.mark.parametrize(("library", "name", "theirs"), theirs_by_name())
def test_there_and_back(library, name, theirs):
    """From a library to Diffeo and back."""
    flow = diffeo.convert(theirs, dtype="float64")
    export = TO[library][1]
    if name in ONE_WAY[library]:
        return refused(export, flow)
    x, context = rows(flow)
    x = flow.sample(30, context, seed=1)
    again = export(flow)
    close(flows.log_prob(library, theirs, x, context), flows.log_prob(library, again, x, context))
    return None


# Networks of their own for scales, and transformers that are inverted or trained for each column
NOT_AGAIN = {"two-networks", "two-networks-sigmoid", "inverse-map", "inverse-map-inverted", "zuko-splines-alone"}


@pytest.mark.parametrize("library", TO)
@every
def test_again(library, name):
    """From Diffeo to a library and back."""
    pytest.importorskip(library)
    letter, export = TO[library]
    who, flow = NAMED[name]
    if letter not in who or name in NOT_AGAIN:
        pytest.skip("not both ways")
    flow = randomised(flow)
    again = diffeo.convert(export(flow), dtype="float64")
    x, context = rows(flow)
    if again.context_dim == 0:  # nothing reads it
        context = None
    close(flow.log_prob(*rows(flow)), again.log_prob(x, context))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@every
def test_onnx(name, dtype, tmp_path):
    pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    who, flow = NAMED[name]
    flow = randomised(flow)
    path = tmp_path / "flow.onnx"
    if "o" not in who:
        refused(to_onnx, flow, path)
        assert not path.exists()
        return
    narrow = in_dtype(flow, dtype)
    narrow.metadata["columns"] = "in words"
    to_onnx(narrow, path)
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert session.get_modelmeta().custom_metadata_map == {"columns": "in words"}
    x, context = rows(flow)
    given = {"x": x.astype(dtype)} | ({} if context is None else {"context": context.astype(dtype)})
    (density,) = session.run(["log_prob"], given)
    assert density.shape == (len(x),)
    assert density.dtype == dtype
    ours = narrow.log_prob(given["x"], given.get("context"))
    close(ours, density, 1e-9 if dtype == "float64" else FLOAT32)
    one = {name: values[:1] for name, values in given.items()}
    np.testing.assert_allclose(session.run(None, one)[0], density[:1], rtol=1e-5)


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
            theirs = TO[library][1](diffeo.load(path))
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
