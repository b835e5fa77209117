"""docs/weight-file.md is enough to write and to read a weight file with h5py and numpy alone."""

import math
import os
import re
import struct
from pathlib import Path
from statistics import NormalDist

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
            b"standardize",
            b"permutation",
            b"actnorm",
        ]
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
    "gelu_erf": lambda a: 0.5 * a * np.vectorize(math.erfc)(-a / np.sqrt(2)),
    "mish": lambda a: a * np.tanh(np.logaddexp(0, a)),
    "hard_silu": lambda a: a * np.clip((a + 3) / 6, 0, 1),
}
LOG_SCALES = {
    "soft_clip": lambda a, said: a / (1 + np.abs(a) / said["scale_bound"]),
    "skewed_clip": lambda a, said: a / (1 + np.where(a < 0, 3 * np.abs(a), a) / said["scale_bound"]),
    "exp": lambda a, said: a,
    "tanh": lambda a, said: said["scale_bound"] * np.tanh(a / said["scale_bound"]),
    "softplus": lambda a, said: np.log(
        np.logaddexp(0, a + np.log(np.expm1(1 - said["scale_epsilon"]))) + said["scale_epsilon"]
    ),
    "sigmoid": lambda a, said: np.log(1 / (1 + np.exp(-a - 2)) + said["scale_epsilon"]),
    "gated": lambda a, said: -np.logaddexp(0, -a - 2),
    "clamped_softplus": lambda a, said: np.log(
        np.minimum(np.logaddexp(0, a) + said["scale_epsilon"], said["scale_bound"])
    ),
    "clipped_softplus": lambda a, said: np.clip(
        np.log(np.logaddexp(0, a)), said["log_scale_low"], said["log_scale_high"]
    ),
    "clamped_exp": lambda a, said: np.clip(a, said["log_scale_low"], said["log_scale_high"]),
    "reciprocal_sigmoid": lambda a, said: np.logaddexp(0, -a),
    "atan": lambda a, said: said["scale_bound"] * np.arctan(a),
    "softplus_arsinh": lambda a, said: np.log(np.logaddexp(0, np.arcsinh(a) + np.log(np.expm1(1)))),
}


def word(layer, name, otherwise=""):
    return layer.attrs.get(name, otherwise.encode()).decode()


def outputs_of(layer, columns, context, degrees=None, network="network", activation="activation"):
    """What a network makes of columns and context; with the degrees of what it reads, hidden layers and outputs."""
    f, blocks, mode = ACTIVATIONS[word(layer, activation)], word(layer, "blocks", "plain"), word(layer, "context_mode")
    widths = layer["hidden"][:]

    def sees(before, after):
        return degrees[after][:, None] > (degrees[before] if after > len(widths) else degrees[before] - 1)

    def matrix(name, h, before, after):
        weight = layer[f"{network}/{name}/weight"][:]
        if degrees is not None:
            weight = weight * sees(before, after)[:, : weight.shape[1]]
        return h @ weight.T + layer[f"{network}/{name}/bias"][:]

    def of_context(name):
        return context @ layer[f"{network}/{name}/weight"][:].T + layer[f"{network}/{name}/bias"][:]

    def normal(name, h):
        if epsilon := layer.attrs.get("layer_norm_epsilon", 0.0):
            h = (h - h.mean(axis=1, keepdims=True)) / np.sqrt(h.var(axis=1, keepdims=True) + epsilon)
        elif not layer.attrs.get("normalized", 0):
            return h
        return layer[f"{network}/{name}/scale"][:] * h + layer[f"{network}/{name}/shift"][:]

    def inner_normal(name, h):
        return normal(name, h) if "layer_norm_epsilon" in layer.attrs else h

    read = np.hstack([columns, context])
    h = matrix("0", columns if mode == "shift" else read, 0, 1)
    if mode == "shift":
        h = h + f(of_context("context"))
    for i in range(len(widths)):
        if blocks == "plain":
            h = matrix(f"{i + 1}", f(normal(f"{i}", h)), i + 1, i + 2)
            continue
        if i > 0 and widths[i] != widths[i - 1]:
            h = matrix(f"{i}", h, i, i + 1)
        y = matrix(f"{i}/inner", f(normal(f"{i}", h)) if blocks == "preactivation" else h, i + 1, i + 1)
        if mode == "shift":
            y = y + context @ layer[f"{network}/{i}/context/weight"][:].T
        y = matrix(f"{i}/outer", f(inner_normal(f"{i}/inner", y)), i + 1, i + 1)
        h = h + (y / (1 + np.exp(-of_context(f"{i}/gate"))) if mode == "gate" else y)
    if blocks != "plain":
        h = matrix(f"{len(widths)}", h, len(widths), len(widths) + 1)
    if layer.attrs.get("direct", 0):
        h = h + read @ (layer[f"{network}/direct/weight"][:] * sees(0, len(widths) + 1)).T
    return h


def moved(layer, x, outputs, backwards):
    """The map of one number, x [n, k], and its logarithmic derivative; outputs [n, k, parameters]."""
    if layer.attrs.get("transformer") in MAPS:
        assert not backwards
        return MAPS[layer.attrs["transformer"]](layer.attrs, x, outputs)
    rule, t = word(layer, "scale"), outputs[..., -1]
    log_scale = np.zeros(x.shape) if rule == "additive" else LOG_SCALES[rule](outputs[..., 0], layer.attrs)
    if rule == "gated":
        t = (1 - np.exp(log_scale)) * t
    return ((x - t) * np.exp(-log_scale), -log_scale) if backwards else (x * np.exp(log_scale) + t, log_scale)


def coupling(layer, x, context, inverse):
    kept = layer["mask"][:] == 1
    read = seen(layer, x[:, kept])
    outputs = outputs_of(layer, read, context)
    if "scale_activation" in layer.attrs:
        a = outputs_of(layer, read, context, network="scale_network", activation="scale_activation")
        outputs = np.stack([a, outputs], axis=-1)
    z = x.copy()
    z[:, ~kept], log_det = moved(layer, x[:, ~kept], outputs.reshape(len(x), (~kept).sum(), -1), inverse)
    return z, log_det.sum(axis=1)


def autoregressive(layer, x, context, inverse):
    dim, order, hidden = x.shape[1], layer["order"][:], len(layer["hidden"])
    place = np.empty(dim, int)
    place[order] = np.arange(1, dim + 1)
    own = np.repeat(place, seen(layer, x).shape[1] // dim)
    last = layer[f"network/{hidden}/bias"].shape[0]
    degrees = [np.concatenate([own, np.zeros(context.shape[1], int)])]
    degrees += [*(layer[f"degrees_{i}"][:] for i in range(hidden)), np.repeat(place, last // dim)]

    def step(y):
        outputs = outputs_of(layer, seen(layer, y), context, degrees).reshape(len(x), dim, -1)
        return moved(layer, x, outputs, inverse != bool(layer.attrs.get("inverse_map", 0)))

    if not inverse:
        z, log_det = step(x)
        return z, log_det.sum(axis=1)
    z = np.zeros_like(x)
    for column in order:
        z[:, column] = step(z)[0][:, column]
    return z, step(z)[1].sum(axis=1)


def elementwise(layer, x, context, inverse):
    columns = layer["columns"][:]
    if "network" in layer:
        outputs = outputs_of(layer, x[:, :0], context).reshape(len(x), len(columns), -1)
    else:
        outputs = np.tile(layer["parameters"][:], (len(x), 1, 1))
    z = x.copy()
    z[:, columns], log_det = moved(layer, x[:, columns], outputs, inverse)
    return z, log_det.sum(axis=1)


def affine(log_scale, shift, x, inverse):
    z = (x - shift) * np.exp(-log_scale) if inverse else x * np.exp(log_scale) + shift
    return z, (-1 if inverse else 1) * log_scale.sum()


# Layers that work on a map, [n, channels, height, width]: of a row that is no image each column is a channel.


def map_of(layer, x):
    """Its first column, and its channels, height and width."""
    return layer.attrs.get("start", 0), layer["shape"][:] if "shape" in layer else np.array([x.shape[1], 1, 1])


def actnorm(layer, x, context, inverse):
    shift = layer["shift"][:] if "shift" in layer else np.zeros(x.shape[1])
    log_scale = np.tile(layer["log_scale"][:][:, None, None], (1, *x.shape[2:]))
    return affine(log_scale, shift[:, None, None], x, inverse)


def permutation(layer, x, context, inverse):
    order = layer["permutation"][:]
    return x[:, np.argsort(order) if inverse else order], 0


def by_matrix(matrix, bias, x, inverse):
    places = x.shape[2] * x.shape[3]
    _, log_det = np.linalg.slogdet(matrix)
    if inverse:
        return np.einsum("oc,nchw->nohw", np.linalg.inv(matrix), x - bias[:, None, None]), -places * log_det
    return np.einsum("oc,nchw->nohw", matrix, x) + bias[:, None, None], places * log_det


def lu(layer, x, context, inverse):
    dim, scale = x.shape[1], layer["sign"][:] * np.exp(layer["log_scale"][:])
    lower, upper = np.tril(layer["lower"][:], -1) + np.eye(dim), np.triu(layer["upper"][:], 1) + np.diag(scale)
    return by_matrix((lower @ upper)[layer["permutation"][:]], layer["bias"][:], x, inverse)


def linear(layer, x, context, inverse):
    return by_matrix(layer["weight"][:], layer["bias"][:], x, inverse)


def squeeze(layer, x, context, inverse):
    n, (c, h, w), order = len(x), layer["shape"][:], layer.attrs["order"].decode()
    places = [(0, 0), (1, 1), (0, 1), (1, 0)] if order == "diagonals" else [(0, 0), (0, 1), (1, 0), (1, 1)]
    numbers = np.arange(c * h * w).reshape(c, h, w)
    squares = [numbers[:, y::2, x::2] for y, x in places]
    sources = np.stack(squares, axis=1 if order == "channels" else 0).ravel()
    return x.reshape(n, -1)[:, np.argsort(sources) if inverse else sources], 0


def convolved(layer, name, x, outside=0.0):
    weight = layer[f"network/{name}/weight"][:]  # [outputs, kernel, kernel, inputs]
    edge, (h, w) = weight.shape[1] // 2, x.shape[2:]
    around = np.pad(x, ((0, 0), (0, 0), (edge, edge), (edge, edge)), constant_values=outside)
    z = layer[f"network/{name}/bias"][:][:, None, None]
    for i, j in np.ndindex(*weight.shape[1:3]):
        z = z + np.einsum("oc,nchw->nohw", weight[:, i, j], around[:, :, i : i + h, j : j + w])
    return z


def convolutions(layer, x, context):
    """What a convolutional network makes of a map."""
    f, blocks, last = ACTIVATIONS[word(layer, "activation")], word(layer, "blocks", "plain"), len(layer["hidden"])
    kernels = [layer["kernels"][i] for i in ([0] + [1] * (last - 1) + [2] if last else [2])]
    outside = float(layer.attrs.get("ones_outside", 0))
    h = convolved(layer, "0", x, outside if last == 0 else 0.0)
    assert layer["network/0/weight"].shape[1] == kernels[0]
    if context.shape[1]:
        h = h + (context @ layer["network/context/weight"][:].T)[:, :, None, None]
    for i in range(last):
        if blocks == "plain":
            h = convolved(layer, f"{i + 1}", f(h), outside if i + 1 == last else 0.0)
            assert layer[f"network/{i + 1}/weight"].shape[1] == kernels[i + 1]
        else:
            v = convolved(layer, f"{i}/inner", f(h) if blocks == "preactivation" else h)
            h = h + convolved(layer, f"{i}/outer", f(v))
    if blocks != "plain":
        h = convolved(layer, f"{last}", h, outside)
    return h * np.exp(3 * layer["network/log_gain"][:])[:, None, None] if layer.attrs.get("gain", 0) else h


def convolutional_coupling(layer, x, context, inverse):
    n, (c, h, w), mask = len(x), x.shape[1:], layer["mask"][:]
    if layer.attrs.get("checkerboard", 0):
        even = np.add.outer(np.arange(h), np.arange(w)) % 2 == 0
        kept = np.tile(even if mask[0] else ~even, (c, 1, 1))
        read, moves = np.where(kept, x, 0), range(c)
    else:
        kept = np.tile((mask == 1)[:, None, None], (1, h, w))
        read, moves = x[:, mask == 1], np.flatnonzero(mask == 0)
    outputs = convolutions(layer, read, context).reshape(n, len(moves), -1, h, w)
    outputs = np.moveaxis(outputs, 2, -1)[:, ~kept[moves]]  # [n, numbers, parameters]
    z = x.copy()
    z[:, ~kept], log_det = moved(layer, x[:, ~kept], outputs, inverse)
    return z, log_det.sum(axis=1)


ON_MAPS = {
    "actnorm": actnorm, "permutation": permutation, "lu": lu, "linear": linear, "squeeze": squeeze,
    "convolutional_coupling": convolutional_coupling,
}  # fmt: skip


def forward(layer, x, context):
    kind, inverse = layer.attrs["kind"].decode(), bool(layer.attrs.get("inverse", 0))
    if kind == "standardize":
        return affine(np.log(layer["std"][:]), layer["mean"][:], x, not inverse)
    if kind in ON_MAPS:
        start, shape = map_of(layer, x)
        part = slice(start, start + shape.prod())
        z, log_det = ON_MAPS[kind](layer, x[:, part].reshape(-1, *shape), context, inverse)
        return np.hstack([x[:, : part.start], z.reshape(len(x), -1), x[:, part.stop :]]), log_det
    if not inverse and kind in OTHERS:
        return OTHERS[kind](layer, x, context)
    both_ways = {"coupling": coupling, "autoregressive": autoregressive, "elementwise": elementwise}
    return both_ways[kind](layer, x, context, inverse)


# Layers and bases that came later, from data to noise.


def softplus(a):
    return np.logaddexp(0, a)


def softmax(a):
    return np.exp(a) / np.exp(a).sum(axis=-1, keepdims=True)


def spline(a, x, outputs):
    """x [n, k]; outputs [n, k, parameters]."""
    bins, low, high, boundary = int(a["bins"]), a["low"], a["high"], a["boundary"].decode()
    width, minimum = high - low, a["min_derivative"]
    knots = []
    for part, least in (outputs[..., :bins], a["min_width"]), (outputs[..., bins : 2 * bins], a["min_height"]):
        sizes = width * (least + (1 - bins * least) * softmax(part))
        knots.append(low + np.concatenate([np.zeros((*x.shape, 1)), sizes.cumsum(axis=-1)], axis=-1))
    linear = a["transformer"] == b"rational_linear"
    lambdas = outputs[..., -bins:]
    derivatives = minimum + softplus(outputs[..., 2 * bins : -bins if linear else None] + np.log(np.expm1(1 - minimum)))
    ends = {"linear": [np.ones((*x.shape, 1))] * 2, "periodic": [derivatives[..., :0], derivatives[..., :1]]}
    before, after = ends.get(boundary, [derivatives[..., :0]] * 2)
    derivatives = np.concatenate([before, derivatives, after], axis=-1)
    if boundary == "periodic":
        x = low + (x - low) % width
    z, log_det = np.array(x), np.zeros(x.shape)
    for at in np.ndindex(*x.shape):
        if not low <= x[at] <= high:
            assert boundary == "linear"
            continue
        u, v, d = knots[0][at], knots[1][at], derivatives[at]
        k = min(max(np.searchsorted(u, x[at], "right") - 1, 0), bins - 1)
        w, h = u[k + 1] - u[k], v[k + 1] - v[k]
        s, t = h / w, (x[at] - u[k]) / w
        if linear:
            part = a["min_lambda"] + (1 - 2 * a["min_lambda"]) / (1 + np.exp(-lambdas[at][k]))
            upper = t > part
            t, part, ends = (1 - t, 1 - part, d[k : k + 2][::-1]) if upper else (t, part, d[k : k + 2])
            below = s * (part - t) + ((1 - part) * np.sqrt(ends[0] * ends[1]) + part * ends[0]) * t
            value = part * ends[0] * t / below
            z[at] = v[k] + h * (1 - value if upper else value)
            log_det[at] = np.log(ends[0] * (part * s / below) ** 2)
            continue
        below = s + (d[k + 1] + d[k] - 2 * s) * t * (1 - t)
        z[at] = v[k] + h * (s * t**2 + d[k] * t * (1 - t)) / below
        log_det[at] = np.log(s**2 * (d[k + 1] * t**2 + 2 * s * t * (1 - t) + d[k] * (1 - t) ** 2) / below**2)
    return z, log_det


def mixture_cdf(a, x, outputs):
    logits, means, raw = np.split(outputs, 3, axis=-1)
    weights, scales = softmax(logits), np.exp(raw / (1 + np.abs(raw) / a["scale_bound"]))
    t = (x[..., None] - means) / scales
    if a["family"] == b"normal":
        cdf, density = 0.5 * np.vectorize(math.erfc)(-t / np.sqrt(2)), np.exp(-0.5 * t**2) / np.sqrt(2 * np.pi)
    else:
        cdf = 1 / (1 + np.exp(-t))
        density = cdf * (1 - cdf)
    total, slope = (weights * cdf).sum(axis=-1), (weights * density / scales).sum(axis=-1)
    if a["target"] == b"uniform":
        return total, np.log(slope)
    return np.log(total / (1 - total)), np.log(slope / (total * (1 - total)))


MAPS = {b"rational_quadratic": spline, b"rational_linear": spline, b"mixture_cdf": mixture_cdf}


def seen(layer, columns):
    """What a network reads of its columns."""
    if layer.attrs.get("boundary") != b"periodic":
        return columns
    angle = 2 * np.pi * (columns - layer.attrs["low"]) / (layer.attrs["high"] - layer.attrs["low"])
    return np.stack([np.cos(angle), np.sin(angle)], axis=-1).reshape(len(columns), -1)


def householder(layer, x, context):
    for v in layer["vectors"][:][::-1]:
        x = x - 2 * np.outer(x @ v, v) / (v @ v)
    return x, 0


def domain(layer, x, context):
    z, total = x.copy(), np.zeros(len(x))
    for i, column in enumerate(layer["columns"][:]):
        x = z[:, column].copy()
        match layer.attrs["map"]:
            case b"logit":
                low, high = layer["low"][i], layer["high"][i]
                z[:, column] = np.log((x - low) / (high - x))
                total += np.log((high - low) / ((x - low) * (high - x)))
            case b"probit":
                low, high = layer["low"][i], layer["high"][i]
                z[:, column] = [NormalDist().inv_cdf(each) for each in (x - low) / (high - low)]
                total += 0.5 * (z[:, column] ** 2 + np.log(2 * np.pi)) - np.log(high - low)
            case b"log":
                z[:, column] = np.log(x - layer["low"][i])
                total -= np.log(x - layer["low"][i])
            case b"softplus":
                z[:, column] = np.log(np.expm1(x - layer["low"][i]))
                total += x - layer["low"][i] - z[:, column]
            case b"logistic_to_normal":
                p = 1 / (1 + np.exp(-x))
                z[:, column] = [NormalDist().inv_cdf(each) for each in p]
                total += np.log(p * (1 - p)) + 0.5 * (z[:, column] ** 2 + np.log(2 * np.pi))
    return z, total


def wrap(layer, x, context):
    some, z = "columns" in layer, x.copy()
    columns = layer["columns"][:] if some else slice(None)
    low, high = (layer[end][:] if some else layer.attrs[end] for end in ("low", "high"))
    z[:, columns] = low + (x[:, columns] + layer["shift"][:] - low) % (high - low)
    return z, 0


def dequantize(layer, x, context):
    levels = np.ones(x.shape[1])
    if "columns" in layer:
        levels[layer["columns"][:]] = np.maximum(layer["levels"][:], 1)
    else:
        levels[:] = max(layer.attrs["levels"], 1)
    return x / levels, -np.log(levels).sum()


def batch_norm(layer, x, context):
    log_scale = layer["log_gamma"][:] - 0.5 * np.log(layer["variance"][:] + layer.attrs["epsilon"])
    return np.exp(log_scale) * (x - layer["mean"][:]) + layer["beta"][:], log_scale.sum()


def vectors(component, names, shapes, x, context):
    """Those of each row, trained or by a network of the context."""
    sizes = np.cumsum([np.prod(shape, dtype=int) for shape in shapes])
    if "network" in component:
        all_of_them = outputs_of(component, x[:, :0], context)
    else:
        all_of_them = np.tile(np.concatenate([component[name][:].ravel() for name in names]), (len(x), 1))
    parts = np.split(all_of_them, sizes[:-1], axis=1)
    return [part.reshape(len(x), *shape) for part, shape in zip(parts, shapes, strict=True)]


def planar(layer, x, context):
    dim = x.shape[1]
    u, w, b = vectors(layer, ["u", "w", "b"], [(dim,), (dim,), (1,)], x, context)
    wu = (w * u).sum(axis=1, keepdims=True)
    v = u + (softplus(wu) - 1 - wu) * w / (w * w).sum(axis=1, keepdims=True)
    t = np.tanh((w * x).sum(axis=1, keepdims=True) + b)
    return x + v * t, np.log1p((w * v).sum(axis=1) * (1 - t[:, 0] ** 2))


def radial(layer, x, context):
    dim = x.shape[1]
    x0, alpha, beta = vectors(layer, ["x0", "alpha", "beta"], [(dim,), (1,), (1,)], x, context)
    a, b = softplus(alpha), softplus(beta)
    r = np.sqrt(((x - x0) ** 2).sum(axis=1, keepdims=True))
    h, slope = (b - a) / (a + r), -(b - a) * r / (a + r) ** 2
    return x + h * (x - x0), ((dim - 1) * np.log1p(h) + np.log1p(h + slope))[:, 0]


OTHERS = {
    "householder": householder, "domain": domain, "wrap": wrap, "dequantize": dequantize,
    "batch_norm": batch_norm, "planar": planar, "radial": radial,
}  # fmt: skip


def base_log_prob(base, z, context):
    n, dim, half = len(z), z.shape[1], 0.5 * np.log(2 * np.pi)
    match base.attrs["kind"]:
        case b"standard_normal":
            parts = -0.5 * z**2 - half
        case b"normal":
            mean, log_scale = vectors(base, ["mean", "log_scale"], [(dim,), (dim,)], z, context)
            parts = -0.5 * ((z - mean) / np.exp(log_scale)) ** 2 - log_scale - half
        case b"logistic":
            parts = -z - 2 * softplus(-z)
        case b"uniform":
            inside = (z >= base.attrs["low"]) & (z <= base.attrs["high"])
            parts = np.where(inside, -np.log(base.attrs["high"] - base.attrs["low"]), -np.inf)
        case b"student_t":
            (log_df,) = vectors(base, ["log_df"], [(dim,)], z, context)
            nu, gamma = np.exp(log_df), np.vectorize(math.lgamma)
            parts = gamma((nu + 1) / 2) - gamma(nu / 2) - 0.5 * np.log(nu * np.pi) - (nu + 1) / 2 * np.log1p(z**2 / nu)
        case b"mixture":
            k = int(base.attrs["components"])
            covariance = base.attrs.get("covariance", b"diagonal")
            plain = not {"covariance", "diagonal", "epsilon"} & set(base.attrs)
            names = ["logits", "means", "log_scales" if plain else "diagonals", "triangles"]
            shapes = [(k,), (k, dim), (k, dim), (k, dim * (dim - 1) // 2)]
            count = 3 if covariance == b"diagonal" else 4
            logits, means, a, *triangles = vectors(base, names[:count], shapes[:count], z, context)
            s = softplus(a) if base.attrs.get("diagonal") == b"softplus" else np.exp(a)
            factors = (s + base.attrs.get("epsilon", 0))[..., None] * np.eye(dim)
            if triangles:
                rows, columns = np.tril_indices(dim, -1) if covariance == b"full" else np.triu_indices(dim, 1)
                factors[..., rows, columns] = triangles[0]
            distances = (z[:, None] - means)[..., None]
            e = factors @ distances if covariance == b"precision" else np.linalg.solve(factors, distances)
            sign = 1 if covariance == b"precision" else -1
            logs = sign * np.log(np.diagonal(factors, axis1=2, axis2=3))
            each = (-0.5 * e[..., 0] ** 2 + logs - half).sum(axis=2)
            return np.log((softmax(logits) * np.exp(each)).sum(axis=1))
        case b"beta":
            low, high, gamma = base.attrs["low"], base.attrs["high"], np.vectorize(math.lgamma)
            alpha, beta = base["alpha"][:], base["beta"][:]
            parts = (alpha - 1) * np.log(z - low) + (beta - 1) * np.log(high - z)
            parts += gamma(alpha + beta) - gamma(alpha) - gamma(beta) - (alpha + beta - 1) * np.log(high - low)
    assert parts.shape == (n, dim)
    return parts.sum(axis=1)


def log_prob(f, x, context):
    if "context" in f:
        context = forward(f["context"], context, None)[0]
    if "embedding" in f:
        context = outputs_of(f["embedding"], np.empty((len(context), 0)), context)
    total = np.zeros(len(x))
    for name in sorted(f["layers"], key=int):
        x, log_det = forward(f["layers"][name], x, context)
        total += log_det
    return total + base_log_prob(f["base"], x, context)


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


SMOOTH = {"hidden": (5,), "activation": "tanh"}
BLOCKS = {"hidden": (5, 5, 4), "activation": "tanh"}


def both(**more):
    """A coupling layer and an autoregressive one, and the latter inverted."""
    options = SMOOTH | more
    return lambda s: s.add_coupling(**options).add_autoregressive(**options).add_autoregressive(**options).invert()


LATER = {
    **{
        f"{blocks} blocks, context {mode}": both(
            **BLOCKS, blocks=blocks, context_mode=mode, normalized=blocks == "preactivation"
        )
        for blocks in ("residual", "preactivation")
        for mode in ("input", "gate", "shift")
    },
    "plain networks, context shift": both(context_mode="shift", hidden=(5, 4)),
    "embedding": lambda s: s.set_embedding(diffeo.Embedding(3, hidden=(5, 4), activation="tanh"))
    .add_coupling(**SMOOTH).add_autoregressive(**SMOOTH).set_base("normal", hidden=(5,)),
    "embedding of residual blocks": lambda s: s
    .set_embedding(diffeo.Embedding(5, (4, 4), "silu", blocks="preactivation", normalized=True)).add_planar((5,), "tanh"),
    "layer normalization": lambda s: s.add_coupling(**SMOOTH, layer_norm=True)
    .add_coupling(**BLOCKS, blocks="preactivation", context_mode="shift", layer_norm=True)
    .add_coupling(**BLOCKS, blocks="residual", context_mode="gate", layer_norm=True).set_base("normal", hidden=(5, 4), layer_norm=True),
    "planar of residual blocks": lambda s: s.add_planar((5, 5), "tanh", blocks="residual"),
    "inverse map": lambda s: s.add_autoregressive(**SMOOTH, inverse_map=True)
    .add_autoregressive(**SMOOTH, inverse_map=True, scale="gated").invert(),
    "direct connections": lambda s: s.add_autoregressive(**SMOOTH, direct=True, order="reversed"),
    "two networks": lambda s: s.add_coupling(**SMOOTH, scale_activation="relu", scale="tanh"),
    "elementwise": lambda s: s.add_elementwise().add_elementwise(columns=[1, 3], scale="exp").invert(),
    "elementwise of the context": lambda s: s.add_elementwise(hidden=(5,), scale="additive")
    .add_elementwise(hidden=(), columns=[0, 2]),
    "elementwise splines": lambda s: s.add_elementwise(columns=[0, 3], transformer=diffeo.Spline(4)),
    "lu": lambda s: s.add_lu(seed=1).add_lu().invert(),
    "linear": lambda s: s.add_linear().add_linear().invert(),
    "householder": lambda s: s.add_householder(3),
    "logit": lambda s: s.add_domain("logit", [0, 2], low=[-9, -8], high=[9, 10]),
    "log": lambda s: s.add_domain("log", [1], low=-9),
    "probit": lambda s: s.add_domain("probit", [0, 2], low=[-9, -8], high=[9, 10]),
    "softplus": lambda s: s.add_domain("softplus", low=[-8, -8.5, -9, -9.5]),
    "logistic_to_normal": lambda s: s.add_domain("logistic_to_normal", [3]),
    "wrap": lambda s: s.add_wrap(-1, 1, random_shift=True).set_base("uniform", low=-1, high=1),
    "wrap of columns": lambda s: s.add_wrap([-1, 0], [1, 3], [0, 2], random_shift=True)
    .add_domain("logit", [0, 2], [-1, 0], [1, 3]),
    "dequantize": lambda s: s.add_dequantize(5),
    "dequantize of columns": lambda s: s.add_dequantize([5, 0, 2], [0, 1, 3]),
    "counts without end": lambda s: s.add_dequantize(0),
    "batch_norm": lambda s: s.add_batch_norm(1e-2, 0.3),
    "elementwise affine": lambda s: s.add_elementwise_affine(),
    "planar": lambda s: s.add_planar().add_planar((5,), "tanh"),
    "radial": lambda s: s.add_radial().add_radial((5,), "tanh"),
    "linear splines": lambda s: s.add_coupling(**SMOOTH, transformer=diffeo.Spline(5, -2, 3)).add_autoregressive(
        **SMOOTH, order="reversed", transformer=diffeo.Spline(4, min_width=0.05, min_height=0.02, min_derivative=0.1)
    ),
    "periodic splines": lambda s: s.add_coupling(**SMOOTH, transformer=diffeo.Spline(5, -2, 3, "periodic"))
    .add_autoregressive(**SMOOTH, order="random", transformer=diffeo.Spline(4, -1, 7, "periodic")),
    "interval splines": lambda s: s.add_coupling(**SMOOTH, transformer=diffeo.Spline(5, -9, 9, "interval"))
    .add_autoregressive(**SMOOTH, transformer=diffeo.Spline(4, -9, 9, "interval")).set_base("uniform", low=-9, high=9),
    "splines of linear pieces": lambda s: s.add_coupling(**SMOOTH, transformer=diffeo.LinearSpline(5, -2, 3))
    .add_autoregressive(**SMOOTH, transformer=diffeo.LinearSpline(4, -1, 7, "periodic", min_lambda=0.2)),
    "splines without minima": lambda s: s.add_coupling(
        **SMOOTH, transformer=diffeo.Spline(5, -2, 3, min_width=0, min_height=0, min_derivative=0)
    ),
    "mixtures": lambda s: s.add_autoregressive(**SMOOTH, transformer=diffeo.Mixture(3, scale_bound=2))
    .add_coupling(**SMOOTH, transformer=diffeo.Mixture(2, "logistic", "uniform")).add_domain("logit", [1, 3], 0, 1),
    "mixture to uniform": lambda s: s.add_autoregressive(**SMOOTH, transformer=diffeo.Mixture(3, target="uniform"))
    .set_base("uniform"),
    "normal": lambda s: s.set_base("normal"),
    "normal of the context": lambda s: s.set_base("normal", hidden=(5,)),
    "logistic": lambda s: s.set_base("logistic"),
    "uniform": lambda s: s.set_base("uniform", low=-2, high=5),
    "student_t": lambda s: s.set_base("student_t"),
    "student_t of the context": lambda s: s.set_base("student_t", hidden=()),
    "mixture": lambda s: s.set_base("mixture", components=3),
    "mixture of the context": lambda s: s.set_base("mixture", components=3, hidden=(5,)),
    "mixture, softplus": lambda s: s.set_base("mixture", components=3, diagonal="softplus", epsilon=0.1),
    "mixture, full": lambda s: s.set_base("mixture", components=3, covariance="full"),
    "mixture, precision of the context": lambda s: s.set_base(
        "mixture", components=2, covariance="precision", diagonal="softplus", epsilon=0.01, hidden=(5,)
    ),
    "beta": lambda s: s.set_base("beta", alpha=2, beta=5, low=-20, high=30),
}  # fmt: skip


@pytest.mark.parametrize("name", LATER)
def test_the_document_tells_what_later_kinds_mean(tmp_path, name):
    holds(LATER[name](diffeo.Spec(dim=4, context_dim=2, dtype="float64")).build(seed=1), tmp_path / "flow.h5")


def holds(flow, path):
    """With other parameters than a new flow's: densities are what the document says."""
    rng = np.random.default_rng(2)
    flow.save(path)
    constant = (
        "inverse", "low", "high", "columns", "levels", "permutation", "order", "mask", "sign", "initialized", "hidden", "shape",
        "kernels",
    )  # fmt: skip

    def change(name, item):
        last = name.split("/")[-1]
        is_constant = last in constant or name in ("base/alpha", "base/beta")
        if isinstance(item, h5py.Dataset) and not is_constant and not last.startswith("degrees"):
            values = 0.5 * rng.normal(size=item.shape)
            item.write_direct(np.exp(values) if last == "variance" else values)

    with h5py.File(path, "r+") as f:
        del f["self_test"]
        f.visititems(change)
    x, context = 1.5 * rng.normal(size=(20, flow.dim)), rng.normal(size=(20, flow.context_dim))
    with h5py.File(path) as f:
        expected = log_prob(f, x, context)
    assert np.isfinite(expected).any()
    found = diffeo.load(path).log_prob(x, context if flow.context_dim else None)
    np.testing.assert_allclose(found, expected, rtol=1e-10)


NETWORK = {"hidden": (5, 4), "activation": "tanh"}
RESIDUAL = {"hidden": (4, 4), "activation": "silu"}

# Of images of 2 x 4 x 6, but where the name says another shape; and 2 of context.
IMAGES = {
    **{
        f"squeeze by {order}": lambda s, order=order: s.add_actnorm().add_squeeze(order).add_actnorm().add_lu(seed=3)
        .add_unsqueeze(order).add_actnorm()
        for order in ("channels", "places", "diagonals")
    },
    "squares of two kinds": lambda s: s.add_squeeze("places").add_lu().add_unsqueeze("channels").add_lu(),
    "by channel": lambda s: s.add_permutation([1, 0]).add_elementwise_affine(shift=False).add_lu(seed=2)
    .add_actnorm().invert().add_lu(seed=5).invert(),
    "linear": lambda s: s.add_linear().add_squeeze().add_linear().invert(),
    **{
        f"coupling, {mask}": lambda s, mask=mask: s.add_image_coupling(**NETWORK, mask=mask)
        .add_image_coupling(**NETWORK, mask=mask, scale="exp").invert()
        for mask in ("first", "last", "even", "odd", "none")
    },
    "mask of channels": lambda s: s.add_squeeze()
    .add_image_coupling(**NETWORK, mask=[1, 0, 0, 1, 0, 1, 1, 1]),
    "additive": lambda s: s.add_image_coupling(**NETWORK, scale="additive", mask="odd"),
    "one convolution": lambda s: s.add_image_coupling((), gain=True, ones_outside=True)
    .add_image_coupling((), kernels=(3, 1, 5), mask="last"),
    "kernels": lambda s: s.add_image_coupling((3, 4, 5), activation="elu", kernels=(5, 3, 1))
    .add_image_coupling(**NETWORK, kernels=(1, 1, 3), gain=True, ones_outside=True, mask="even"),
    "residual blocks": lambda s: s.add_image_coupling(**RESIDUAL, blocks="residual", gain=True)
    .add_image_coupling(**RESIDUAL, blocks="preactivation", mask="even", kernels=(1, 3, 3)),
    "mixtures": lambda s: s.add_image_coupling(**NETWORK, transformer=diffeo.Mixture(2, target="uniform", scale_bound=2))
    .add_image_coupling(**NETWORK, mask="last", transformer=diffeo.Mixture(2, target="uniform", scale_bound=2))
    .set_base("uniform"),
    "splines on a checkerboard": lambda s: s.add_image_coupling(**NETWORK, transformer=diffeo.Spline(4), mask="odd"),
    "splits": lambda s: s.add_squeeze().add_split("last").add_actnorm().add_linear().add_split(prior=False)
    .add_permutation([1, 0]).add_lu(seed=4).add_image_coupling(**NETWORK, mask="even")
    .add_split("last", hidden=(3,), activation="tanh", gain=False).add_actnorm(),
}  # fmt: skip


@pytest.mark.parametrize("context_dim", [0, 2])
@pytest.mark.parametrize("name", IMAGES)
def test_the_document_tells_what_layers_of_images_mean(tmp_path, name, context_dim):
    if "none" in name and context_dim == 0:
        pytest.skip("there is nothing to condition on")
    spec = diffeo.Spec(shape=(2, 4, 6), context_dim=context_dim, dtype="float64")
    holds(IMAGES[name](spec).build(seed=1), tmp_path / "flow.h5")


@pytest.mark.parametrize("maker", [diffeo.glow_image, diffeo.realnvp_image])
@pytest.mark.parametrize("context_dim", [0, 2])
def test_the_document_tells_what_whole_flows_of_images_mean(tmp_path, maker, context_dim):
    flow = maker((1, 8, 8), levels=2, steps=1, hidden=(4, 4), context_dim=context_dim, quantization=0, dtype="float64")
    holds(flow, tmp_path / "flow.h5")


def test_an_attribute_that_claims_gigabytes_is_not_asked_for(tmp_path):
    flow = diffeo.Spec(dim=3).add_actnorm().build()
    flow.save(tmp_path / "flow.h5")
    # Written by another program, without checksums.
    with h5py.File(tmp_path / "flow.h5") as f, h5py.File(tmp_path / "other.h5", "w") as other:
        other.attrs.update(f.attrs)
        for name in f:
            f.copy(name, other)
        other["layers/000"].attrs["mine"] = np.arange(7)
    image = (tmp_path / "other.h5").read_bytes()
    diffeo.from_bytes(image)
    at = image.index(struct.pack("<Q", 7), image.index(b"mine\0"))
    for claim in (2**27, 2**61 + 1):
        with pytest.raises(diffeo.errors.FormatError, match="header that is damaged"):
            diffeo.from_bytes(image[:at] + struct.pack("<Q", claim) + image[at + 8 :])
