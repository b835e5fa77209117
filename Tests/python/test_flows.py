"""The lines of docs/flows.md run in Python and in C, its formulas are the library's, its pictures are there."""

import math
import os
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

diffeo = pytest.importorskip("diffeo")

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "flows.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


def test_python():
    names = {}
    for block in blocks("python"):
        exec(compile(block, block, "exec"), names)


def test_c(tmp_path):
    """The first block makes options and a flow; each of the others goes on from its options."""
    first, *others = blocks("c")
    begin = first[: first.index("diffeo_maf_create")]
    check = 'if (!flow) return fprintf(stderr, "%s\\n", diffeo_last_error()), 1;\ndiffeo_flow_destroy(flow);\n'
    body = "".join(f"{{\n{code}{check}}}\n" for code in [first, *(begin + block for block in others)])
    (tmp_path / "main.c").write_text(f"#include <diffeo.h>\n#include <stdio.h>\nint main(void) {{\n{body}}}\n")
    library = Path(os.environ.get("DIFFEO_LIBRARY", ROOT / ".build/release/libdiffeo.so"))
    os.symlink(library, tmp_path / diffeo._abi.SONAME)
    subprocess.run(
        ["cc", "-std=c99", "-Wall", "-Wextra", "-Werror", f"-I{ROOT / 'include'}", "main.c", tmp_path / diffeo._abi.SONAME,
         "-o", "main"], cwd=tmp_path, check=True)  # fmt: skip
    done = subprocess.run(
        ["./main"], cwd=tmp_path, capture_output=True, text=True, env={**os.environ, "LD_LIBRARY_PATH": str(tmp_path)})
    assert done.returncode == 0, done.stderr


# --------------------------------------------------------------------------------------------------------------------
# Formulas as the page has them, one layer at a time, with the parameters out of the weight file.


def softplus(a):
    return np.logaddexp(0, a)


def softmax(a):
    return np.exp(a - a.max()) / np.exp(a - a.max()).sum()


def layer(spec, tmp_path):
    """A flow of one layer with random parameters, and these by name. A network without inputs has a bias alone."""
    h5py = pytest.importorskip("h5py")
    flow = spec.build(seed=3)
    flow = flow.with_parameters(np.random.default_rng(2).normal(size=flow.parameter_count))
    flow.save(tmp_path / "flow.h5")
    with h5py.File(tmp_path / "flow.h5") as f:
        group = f["layers/000"]
        names = ("u", "w", "b", "x0", "alpha", "beta", "network/0/bias")
        return flow, {name: group[name][:] for name in names if name in group}


def test_planar(tmp_path):
    flow, p = layer(diffeo.Spec(dim=3, dtype="float64").add_planar().invert(), tmp_path)
    z = np.random.default_rng(1).normal(size=(20, 3))
    u, w = p["u"], p["w"]
    v = u + (softplus(w @ u) - 1 - w @ u) * w / (w @ w)
    a = z @ w + p["b"]
    x, log_det = flow.from_noise(z)
    np.testing.assert_allclose(x, z + np.tanh(a)[:, None] * v, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(log_det, np.log(1 + w @ v * (1 - np.tanh(a) ** 2)), rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(a + w @ v * np.tanh(a), x @ w + p["b"], rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(flow.to_noise(x)[0], z, rtol=1e-11, atol=1e-13)


def test_radial(tmp_path):
    flow, p = layer(diffeo.Spec(dim=3, dtype="float64").add_radial().invert(), tmp_path)
    z = np.random.default_rng(1).normal(size=(20, 3))
    alpha = softplus(p["alpha"])
    beta = softplus(p["beta"]) - alpha
    r = np.linalg.norm(z - p["x0"], axis=1)
    x, log_det = flow.from_noise(z)
    np.testing.assert_allclose(x, z + (beta / (alpha + r))[:, None] * (z - p["x0"]), rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(
        log_det, 2 * np.log(1 + beta / (alpha + r)) + np.log(1 + alpha * beta / (alpha + r) ** 2), rtol=1e-11, atol=1e-13)
    R = np.linalg.norm(x - p["x0"], axis=1)
    np.testing.assert_allclose(r**2 + (alpha + beta - R) * r, alpha * R, rtol=1e-11)
    np.testing.assert_allclose(p["x0"] + (x - p["x0"]) * (r / R)[:, None], z, rtol=1e-11, atol=1e-13)


def test_mixture(tmp_path):
    spec = diffeo.Spec(dim=1, dtype="float64").add_autoregressive((), transformer=diffeo.Mixture(components=4))
    flow, p = layer(spec, tmp_path)
    logits, m, a = p["network/0/bias"].reshape(3, 4)
    w, s = softmax(logits), np.exp(a / (1 + np.abs(a) / 7))
    x = np.linspace(-3, 3, 20)[:, None]
    t = (x - m) / s
    F = (w * np.vectorize(lambda t: 0.5 * math.erfc(-t / math.sqrt(2)))(t)).sum(1)
    f = (w / s * np.exp(-0.5 * t**2)).sum(1) / np.sqrt(2 * np.pi)
    z, log_det = flow.to_noise(x)
    np.testing.assert_allclose(z[:, 0], np.log(F) - np.log(1 - F), rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(log_det, np.log(f / (F * (1 - F))), rtol=1e-9, atol=1e-11)


def test_spline(tmp_path):
    spec = diffeo.Spec(dim=1, dtype="float64").add_autoregressive((), transformer=diffeo.Spline(bins=5))
    flow, p = layer(spec, tmp_path)
    raw = p["network/0/bias"]
    widths, heights = (8 * (1e-3 + (1 - 5e-3) * softmax(part)) for part in (raw[:5], raw[5:10]))
    slopes = np.r_[1, 1e-3 + softplus(raw[10:] + np.log(np.expm1(1 - 1e-3))), 1]
    x = np.linspace(-3.9, 3.9, 50)
    left, low = (-4 + np.r_[0, np.cumsum(part)[:-1]] for part in (widths, heights))
    k = np.searchsorted(left, x, side="right") - 1
    t, d0, d1, s = (x - left[k]) / widths[k], slopes[k], slopes[k + 1], (heights / widths)[k]
    q = s + (d0 + d1 - 2 * s) * t * (1 - t)
    z, log_det = flow.to_noise(x[:, None])
    np.testing.assert_allclose(
        z[:, 0], low[k] + heights[k] * (s * t**2 + d0 * t * (1 - t)) / q, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(
        log_det, np.log((s / q) ** 2 * (d1 * t**2 + 2 * s * t * (1 - t) + d0 * (1 - t) ** 2)), rtol=1e-10, atol=1e-12)
    np.testing.assert_array_equal(flow.to_noise([[5.0]])[0], [[5.0]])


# --------------------------------------------------------------------------------------------------------------------


def test_pictures_are_there():
    for picture in re.findall(r"!\[[^]]*\]\(([^)]+)\)", TEXT):
        assert (ROOT / "docs" / picture).is_file(), picture


def test_links_within_the_page():
    headings = re.findall(r"^#+ (.*)$", re.sub(r"```.*?```", "", TEXT, flags=re.DOTALL), re.MULTILINE)
    anchors = {heading.lower().replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\]\(#([^)]+)\)", TEXT)) <= anchors
