#!/usr/bin/env python3
"""Writes a weight file for each kind of layer, base and transformer, each scale and each convention of networks that
none of the files here has yet, into a folder named after the version of the library that writes them.

    DIFFEO_LIBRARY=.build/release/libdiffeo.so Tests/files/make.py

What is here was written by the version that its folder names and is never written again: later versions must read it,
with the same numbers. Whoever adds a kind runs this once.
"""

import sys
from pathlib import Path

import h5py
import numpy as np

PROJECT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(PROJECT / "bindings/python"))
import diffeo  # noqa: E402

SMALL = {"hidden": (6, 5), "activation": "tanh"}

# By kind: what goes into a flow of 3 columns and 2 of context.
KINDS = {
    "autoregressive": lambda s: s.add_autoregressive(**SMALL, order="random", direct=True, seed=1),
    "coupling": lambda s: s.add_coupling(**SMALL, scale_activation="relu"),
    "elementwise": lambda s: s.add_elementwise(columns=[0, 2]),
    "planar": lambda s: s.add_planar((6,), "tanh"),
    "radial": lambda s: s.add_radial(),
    "permutation": lambda s: s.add_random_permutation(seed=1),
    "lu": lambda s: s.add_lu(seed=2),
    "householder": lambda s: s.add_householder(2),
    "actnorm": lambda s: s.add_actnorm(),
    "batch_norm": lambda s: s.add_batch_norm(1e-3, 0.2),
    "standardize": lambda s: s.add_standardize([1, 2, 3], [0.5, 1, 2]).standardize_context([0, 1], [1, 2]),
    "domain": lambda s: s.add_domain("logit", [0, 2], low=-9, high=[9, 10]),
    "wrap": lambda s: s.add_wrap(-4, 4, random_shift=True, seed=3),
    "dequantize": lambda s: s.add_dequantize(5),
    "wrap_columns": lambda s: s.add_wrap([-4, 0], [4, 5], [0, 2], random_shift=True, seed=3).add_domain(
        "logit", [0, 2], [-4, 0], [4, 5]
    ),
    "dequantize_columns": lambda s: s.add_dequantize([5, 0], [0, 2]).add_domain("softplus", [2], 0),
    "standard_normal": lambda s: s.set_base("standard_normal"),
    "normal": lambda s: s.set_base("normal", hidden=(5,)),
    "logistic": lambda s: s.set_base("logistic"),
    "uniform": lambda s: s.set_base("uniform", low=-3, high=5),
    "student_t": lambda s: s.set_base("student_t", df=4),
    "mixture": lambda s: s.set_base("mixture", components=3),
    "full": lambda s: s.set_base("mixture", components=3, covariance="full", epsilon=1e-3),
    "precision": lambda s: s.set_base(
        "mixture", components=2, covariance="precision", diagonal="softplus", hidden=(5,)
    ),
    "beta": lambda s: s.set_base("beta", alpha=2, beta=3, low=-30, high=50),
    "made": lambda s: s.set_base_made(**SMALL, masks=2, order="random", degrees="random", seed=4),
}
# Of images of 2 x 4 x 4 and 2 of context: parts of maps, too.
IMAGES = {
    "squeeze": lambda s: s.add_squeeze("diagonals").add_actnorm().add_lu(seed=5).add_unsqueeze("places"),
    "linear": lambda s: s.add_squeeze().add_split("last", prior=False).add_linear().add_permutation([2, 0, 3, 1]),
    "convolutional_coupling": lambda s: (
        s.add_image_coupling((6, 6), blocks="preactivation", mask="odd", activation="tanh")
        .add_squeeze("channels")
        .add_split("last", hidden=(5,), activation="silu")
        .add_image_coupling((6, 5), gain=True, activation="tanh", kernels=(3, 1, 5))
    ),
}
TRANSFORMERS = {
    "affine": lambda s: s.add_coupling(**SMALL, scale="softplus"),
    "rational_quadratic": lambda s: s.add_autoregressive(**SMALL, transformer=diffeo.Spline(5, -3, 3)),
    "mixture_cdf": lambda s: s.add_autoregressive(**SMALL, transformer=diffeo.Mixture(3)),
    "sinh_arcsinh": lambda s: s.add_autoregressive(**SMALL, transformer="sinh_arcsinh"),
    "rational_linear": lambda s: s.add_autoregressive(**SMALL, transformer=diffeo.LinearSpline(5, -3, 3)),
}

SCALES = {
    name: lambda s, name=name: s.add_coupling(**SMALL, scale=name)
    for name in (
        "soft_clip", "exp", "tanh", "softplus", "sigmoid", "additive", "gated", "clamped_softplus", "clamped_exp",
        "reciprocal_sigmoid", "atan", "skewed_clip", "clipped_softplus", "softplus_arsinh",
    )
}  # fmt: skip
RESIDUAL = {"hidden": (6, 6, 6), "activation": "tanh"}
NETWORKS = {
    "dropout": lambda s: s.add_coupling(**SMALL, dropout=0.25),
    "residual": lambda s: s.add_autoregressive(**RESIDUAL, blocks="residual"),
    "preactivation": lambda s: s.add_coupling(**RESIDUAL, blocks="preactivation"),
    "gate": lambda s: s.add_coupling(**RESIDUAL, blocks="preactivation", context_mode="gate"),
    "shift": lambda s: s.add_autoregressive(**SMALL, context_mode="shift"),
    "layer_norm_epsilon": lambda s: s.add_coupling(**RESIDUAL, blocks="preactivation", layer_norm=True).add_coupling(
        **SMALL, layer_norm=True
    ),
    "network": lambda s: s.set_embedding(diffeo.Embedding(4, **SMALL)).add_coupling(**SMALL).add_planar((6,), "tanh"),
}


def words_in(path: Path) -> set[str]:
    """The kinds of the components of a file, their transformers, scales, covariances and conventions."""
    names = ("kind", "transformer", "scale", "blocks", "context_mode", "covariance")
    with h5py.File(path) as f:
        components = [f["base"], *f["layers"].values(), *(f[name] for name in ("context", "embedding") if name in f)]
        words = {c.attrs[name].decode() for c in components for name in names if name in c.attrs}
        some = (c.attrs["kind"].decode() for c in components if "columns" in c)
        words |= {f"{kind}_columns" for kind in some}
        return words | {word for c in components for word in ("dropout", "layer_norm_epsilon") if word in c.attrs}


def main() -> None:
    folder = Path(__file__).parent
    known = set().union(*(words_in(path) for path in folder.glob("*/*.h5")))
    version = folder / diffeo.__version__
    for number, (name, add) in enumerate((KINDS | TRANSFORMERS | SCALES | NETWORKS | IMAGES).items()):
        if name in known:
            continue
        event = {"shape": (2, 4, 4)} if name in IMAGES else {"dim": 3}
        spec = add(diffeo.Spec(**event, context_dim=2, dtype="float32" if number % 2 else "float64"))
        flow = spec.build(seed=number)
        rng = np.random.default_rng(number)
        version.mkdir(exist_ok=True)
        path = version / f"{name}.h5"
        flow.save(path)
        # Other weights than those of a new flow; 0 and 1 may be flags and signs.
        p = flow.parameters()
        noise = 0.1 * rng.normal(size=p.shape)
        for changed in (p + noise, np.where(np.isin(p, (-1, 1)), p, p + noise), p * (1 + noise)):
            try:
                flow.with_parameters(changed).save(path)
                break
            except diffeo.Error:
                continue
        print(path.relative_to(PROJECT))


if __name__ == "__main__":
    main()
