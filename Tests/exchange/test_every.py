"""Every named flow and every kind of layer by every exporter: it converts, with these errors, or is refused by name."""

import re
from pathlib import Path
from typing import get_args

import diffeo
import flows
import numpy as np
import pytest
from diffeo import _words, architectures
from diffeo.exchange import ConversionError, to_flowjax, to_nflows, to_numpy, to_onnx, to_zuko
from every import EVERY, unknown_bases
from test_back import in_dtype, randomised

METHODS = {"log_prob": "x", "to_noise": "x", "from_noise": "z"}
LIBRARIES = {"flowjax": to_flowjax, "nflows": to_nflows, "zuko": to_zuko}
IMAGES = dict.fromkeys(("glow_image", "realnvp_image"), "images")
DIRECT = {"direct": "direct connections"}
MASKS = dict.fromkeys(("made-masks", "base-made-gaussian-masks", "base-made-mixture-masks"), "a mean over")
BINARY = {"made-bernoulli": "numbers 0 and 1"}
UNKNOWN_BASES = {name: f"mixtures with .*{name.split('-')[2]}" for name in unknown_bases() if name != "base-beta"}
UNKNOWN_BASES["base-beta"] = "no counterpart"
UNKNOWN = UNKNOWN_BASES | {"embedding": "embedding"}
UNKNOWN |= dict.fromkeys(("domain-probit", "domain-probit-inverse"), "the map probit")
UNKNOWN |= {name: "map of one number" for name in EVERY if name.startswith("linear_spline")}
UNKNOWN |= {name: "layer normalisation" for name in EVERY if name.startswith("layer_norm")}
OF_ZUKO = {f"base-mixture-{kind}{given}" for kind in ("full", "epsilon") for given in ("", "-given")}
# What is refused, and words of the reason; everything else converts
REFUSED = {
    "onnx": IMAGES | DIRECT | UNKNOWN,
    "flowjax": IMAGES | DIRECT | UNKNOWN | BINARY,
    "zuko": {name: why for name, why in (IMAGES | DIRECT | UNKNOWN | BINARY | MASKS).items() if name not in OF_ZUKO},
    "nflows": IMAGES | DIRECT | UNKNOWN | BINARY | MASKS,
}
TOLERANCE = {"float64": 1e-10, "float32": 1e-5}
# Operators of TMVA SOFIE, by the list in ROOT's tmva/sofie/README.md
SOFIE = {
    "Abs", "Add", "Cast", "Concat", "Div", "Exp", "Gather", "Identity", "Less", "Log", "MatMul", "Max", "Min", "Mul",
    "ReduceSum", "Reciprocal", "Sigmoid", "Sin", "Softmax", "Sqrt", "Sub", "Tanh", "TopK", "Unsqueeze", "Where",
}  # fmt: skip
every = pytest.mark.parametrize("name", EVERY)


def rows(flow, count=30):
    """Samples, where a flow of a bounded base has its data, and their context.

    With random weights a layer may not reach all of what follows it, and some of them are no numbers.
    """
    rng = np.random.default_rng(0)
    context = rng.normal(size=(count, flow.context_dim)) if flow.context_dim else None
    x = flow.sample(count, context, seed=1)
    reached = ~np.isnan(x).any(axis=1)
    assert reached.any()
    return x[reached], None if context is None else context[reached]


def refused(who, name, export, *arguments):
    with pytest.raises(ConversionError, match=REFUSED[who][name]) as error:
        export(*arguments)
    assert re.fullmatch(r"base|embedding|layers/\d{3}", error.value.path)


def worst(ours, theirs):
    """The largest error, of which infinities are none that are the same."""
    same = (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))
    return float(np.max(np.where(same, 0.0, np.abs(ours - theirs) / (1 + np.abs(ours))), initial=0.0))


def density(library, theirs, x, context):
    if library != "flowjax":
        return flows.log_prob(library, theirs, x, context)
    import equinox as eqx
    from diffeo.exchange.flowjax import double

    with double():
        return np.asarray(eqx.filter_jit(lambda of, *at: of.log_prob(*at))(theirs, x, context))


@pytest.mark.parametrize("library", LIBRARIES)
@every
def test_libraries(library, name, record_property):
    pytest.importorskip(library)
    flow = randomised(EVERY[name])
    if name in REFUSED[library]:
        return refused(library, name, LIBRARIES[library], flow)
    x, context = rows(flow)
    error = worst(flow.log_prob(x, context), density(library, LIBRARIES[library](flow), x, context))
    record_property("error", error)
    assert error < TOLERANCE["float64"]
    return None


def lost(flow, wide, method, given, context):
    """What Diffeo's own float32 loses."""
    ours, exact = getattr(flow, method)(given, context), getattr(wide, method)(given, context)
    return max(map(worst, exact, ours)) if isinstance(ours, tuple) else worst(exact, ours)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("method", METHODS)
@every
def test_onnx(name, method, dtype, tmp_path, record_property):
    """By ONNX Runtime, and by operators that ROOT has."""
    onnx, runtime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    wide, path = randomised(EVERY[name]), tmp_path / "flow.onnx"
    flow = in_dtype(wide, dtype)
    flow.metadata["columns"] = "in words"
    if name in REFUSED["onnx"] and (name not in UNKNOWN_BASES or method == "log_prob"):  # the others need no base
        refused("onnx", name, to_onnx, flow, path, method)
        assert not path.exists()
        return
    to_onnx(flow, path, method)
    assert {node.op_type for node in onnx.load(path).graph.node} <= SOFIE
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert session.get_modelmeta().custom_metadata_map == {"columns": "in words"}
    given, context = (None if each is None else each.astype(dtype) for each in rows(flow))
    if method == "from_noise":
        given, _ = flow.to_noise(given, context)
        kept = np.isfinite(flow.from_noise(given, context)[0]).all(axis=1)
        given, context = given[kept], None if context is None else context[kept]
    ours = getattr(flow, method)(given, context)
    inputs = {METHODS[method]: given} | ({} if context is None else {"context": context})
    theirs = session.run(None, inputs)
    assert [each.dtype for each in theirs] == [dtype] * len(theirs)
    error = max(map(worst, ours, theirs)) if isinstance(ours, tuple) else worst(ours, theirs[0])
    record_property("error", error)
    assert error < max(TOLERANCE[dtype], 8 * lost(flow, wide, method, given, context) if dtype == "float32" else 0.0)
    one = session.run(None, {key: value[:1] for key, value in inputs.items()})
    assert [each.shape[0] for each in one] == [1] * len(one)


def test_onnx_beyond_the_support(tmp_path):
    """There the density is 0; of what is not a number it is not a number either."""
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    x = np.array([[0.5, 0.5], [0.5, 1.5], [-np.inf, 0.5], [0.5, np.nan]])
    flow = diffeo.spec.Spec(2, dtype="float64").add_domain("logit", low=0, high=1).add_lu().build(seed=1)
    to_onnx(flow, tmp_path / "flow.onnx")
    (found,) = runtime.InferenceSession(tmp_path / "flow.onnx").run(None, {"x": x})
    np.testing.assert_allclose(found, flow.log_prob(x))
    assert list(np.isneginf(found)) == [False, True, True, False]


def test_methods_are_words(tmp_path):
    with pytest.raises(ValueError, match="method is 'sample'; it must be log_prob, to_noise or from_noise"):
        to_onnx(EVERY["maf"], tmp_path / "flow.onnx", "sample")


# ------------------------------------------------------------------------------------------------- nothing is left out


def said(flow):
    """Kinds and words of a flow: (attribute, value)."""
    for path, group in to_numpy(flow).items():
        if isinstance(group, dict):
            yield from ((name, str(value), path) for name, value in group.items() if isinstance(value, str))


def test_every_named_flow():
    names = [name for name in vars(architectures) if name in diffeo.__all__ and callable(getattr(diffeo, name))]
    ours = {name.split("-")[0] for name in EVERY}
    assert {name for name in names if getattr(diffeo, name).__module__ == "diffeo.architectures"} <= ours


WORDS = {
    "activation": _words.Activation, "blocks": _words.Blocks, "boundary": _words.Boundary, "scale": _words.Scale,
    "conditional": _words.Conditional, "context_mode": _words.ContextMode, "derivative": _words.Derivative,
    "map": _words.Domain, "encoding": _words.Encoding, "family": _words.Family, "target": _words.Target,
    "covariance": _words.Covariance, "diagonal": _words.Diagonal,
}  # fmt: skip
# Words that files leave out
LEFT_OUT = {
    ("blocks", "plain"), ("context_mode", "input"), ("derivative", "softplus"), ("encoding", "circle"),
    ("covariance", "diagonal"), ("diagonal", "exp"),
}  # fmt: skip
FILE_WORDS = {"spline": "rational_quadratic", "mixture": "mixture_cdf", "linear_spline": "rational_linear"}


def test_every_word():
    found = {(name, value) for flow in EVERY.values() for name, value, _ in said(flow)}
    for attribute, words in WORDS.items():
        missing = {(attribute, word) for word in get_args(words)} - found - LEFT_OUT
        assert not missing
    assert {("transformer", FILE_WORDS.get(word, word)) for word in get_args(_words.Transformer)} <= found
    kinds = {value for name, value in found if name == "kind"}
    assert {*get_args(_words.Base), "made"} <= kinds


DOCUMENT = Path(__file__).parents[2] / "docs" / "exchange.md"


def test_the_table_of_the_document():
    """A kind of layer or base has "no" in a column where all flows that have it are refused, and only there."""
    text = DOCUMENT.read_text().partition("## Back again")[2]
    header, _, *lines = next(part for part in text.split("\n\n") if part.startswith("| Here")).splitlines()
    columns = [re.sub(r"[ \d.]", "", cell).lower() for cell in header.strip("|").split("|")]
    flows_of = {}
    for name, flow in EVERY.items():
        for attribute, kind, path in said(flow):
            if attribute in ("kind", "transformer") and path != "context":
                flows_of.setdefault(kind, set()).add(name)
    listed = set()
    for line in lines:
        first, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        for kind in re.findall(r"`(\w+)`", first):
            listed.add(kind)
            for who, cell in zip(columns[1:], cells, strict=True):
                assert (cell == "no") == (flows_of[kind] <= REFUSED[who].keys()), (kind, who)
    assert listed == flows_of.keys()
