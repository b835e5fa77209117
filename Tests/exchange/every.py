"""Every named flow and every kind of layer, map and base, in float64: what the exporters are held to by their table."""

import diffeo
import numpy as np
from diffeo.spec import Embedding, LinearSpline, Mixture, Spec, Spline

NAMED = {"transforms": 2, "hidden": (7, 6), "standardize": False, "dtype": "float64"}
GIVEN = NAMED | {"context_dim": 2}
MORE = {"random_order": True, "actnorm": True, "batch_norm": True}
BASED = {name: value for name, value in NAMED.items() if name != "transforms"}
SMALL = {"hidden": (7, 6)}
BLOCKS = {"hidden": (6, 6, 5), "activation": "tanh"}
BOUNDARIES = ("linear", "interval", "free", "extended", "half_turn", "periodic")
ZUKO = {"min_width": 0, "min_height": 0, "logit_bound": 3.0, "derivative": "exp", "derivative_bound": 6.0}
DOMAINS = {
    "logit": {"low": -9.0, "high": [8.0, 9.0, 9.5]}, "log": {"low": -9.0}, "softplus": {"low": -9.0},
    "probit": {"low": -9.0, "high": 9.0}, "logistic_to_normal": {}, "leaky_tanh": {"low": 1.2},
    "leaky_relu": {"low": 0.4}, "log_tanh": {"low": 0.8},
}  # fmt: skip
SCALES = (
    "soft_clip", "exp", "tanh", "softplus", "sigmoid", "additive", "gated", "clamped_softplus", "clamped_exp",
    "reciprocal_sigmoid", "atan", "skewed_clip", "clipped_softplus", "softplus_arsinh",
)  # fmt: skip
ACTIVATIONS = (
    "relu", "tanh", "elu", "silu", "leaky_relu", "softplus", "sigmoid", "gelu", "gelu_erf", "mish", "hard_silu"
)  # fmt: skip


def spec(dim, *layers, context=0, base=None, standardize=False, embedding=None):
    """A flow of layers (kind, options), an inverted one with a minus before its kind."""
    made = Spec(dim, context, dtype="float64")
    if embedding:
        made.set_embedding(embedding)
    for kind, options in layers:
        getattr(made, f"add_{kind.removeprefix('-')}")(**options)
        if kind.startswith("-"):
            made.invert()
    if standardize:
        made.standardize_context(np.arange(context) * 0.3, np.arange(1.0, context + 1))
    if base:
        name, options = base
        getattr(made, "set_base_made" if name == "made" else "set_base")(
            *(() if name == "made" else (name,)), **options
        )
    return made.build(seed=1)


def named():
    """Those of diffeo.architectures, with their options."""
    return {
        "nice": diffeo.nice(4, **NAMED),
        "nice-context": diffeo.nice(4, **GIVEN),
        "realnvp": diffeo.realnvp(5, **NAMED),
        "realnvp-options": diffeo.realnvp(5, scale="tanh", **MORE, **GIVEN),
        "realnvp-one-column": diffeo.realnvp(1, **GIVEN),
        "glow": diffeo.glow(4, **GIVEN),
        "made": diffeo.made(4, **BASED),
        "made-context": diffeo.made(3, context_dim=2, random_order=True, activation="tanh", **BASED),
        "made-mixture": diffeo.made(4, conditional="mixture", components=3, **BASED),
        "made-masks": diffeo.made(4, conditional="mixture", components=3, masks=3, random_order=True, **BASED),
        "made-bernoulli": diffeo.made(4, conditional="bernoulli", **BASED),
        "maf": diffeo.maf(4, **NAMED),
        "maf-options": diffeo.maf(
            4, actnorm=True, batch_norm=True, random_order=True, blocks="residual", **(GIVEN | {"hidden": (6, 6)})
        ),
        "maf-mixture": diffeo.maf(4, components=3, **NAMED),
        "maf-one-column": diffeo.maf(1, **NAMED),
        "maf-student": diffeo.maf(3, base="student_t", **NAMED),
        "maf-standardized": diffeo.maf(3, **(GIVEN | {"standardize": True})),
        "iaf": diffeo.iaf(4, **NAMED),
        "iaf-context": diffeo.iaf(4, **GIVEN),
        "planar": diffeo.planar(4, **NAMED),
        "planar-context": diffeo.planar(4, **GIVEN),
        "radial": diffeo.radial(4, **NAMED),
        "radial-context": diffeo.radial(4, **GIVEN),
        "cdf_flow": diffeo.cdf_flow(3, components=3, **NAMED),
        "cdf_flow-context": diffeo.cdf_flow(3, components=3, **(GIVEN | {"transforms": 1})),
        "spline_coupling": diffeo.spline_coupling(4, **GIVEN),
        "spline_coupling-torus": diffeo.spline_coupling(4, periodic=True, **GIVEN),
        "spline_autoregressive": diffeo.spline_autoregressive(4, **GIVEN),
        "spline_autoregressive-torus": diffeo.spline_autoregressive(3, periodic=True, random_order=True, **NAMED),
        "glow_image": diffeo.glow_image((1, 4, 4), levels=1, steps=1, hidden=(3,), dtype="float64"),
        "realnvp_image": diffeo.realnvp_image((1, 4, 4), levels=1, steps=1, hidden=(3,), dtype="float64"),
    }


def layers():
    """Each kind of layer and map, in both directions."""
    found = {}
    for name, options in DOMAINS.items():
        found[f"domain-{name}"] = spec(3, ("domain", {"domain": name, **options}))
        columns = {key: np.asarray(value).ravel()[:1] for key, value in options.items()}
        one = {"domain": name, "columns": [1], **columns}
        found[f"domain-{name}-inverse"] = spec(3, ("domain", one), ("lu", {}), ("-domain", one), ("domain", one))
    bounded = {}
    maps = {f"spline-{b}": (Spline(4, -2.0, 2.5, b), b) for b in BOUNDARIES}
    maps["spline-zuko"] = Spline(4, -2, 2, **ZUKO), "linear"
    maps["spline-pyro"] = Spline(4, -2, 2, boundary_derivative=0.9), "linear"
    maps["spline-flowjax-17"] = Spline(4, -2, 2, "free", half_ends=True), "free"
    maps["spline-numbers"] = Spline(4, -2, 2, "periodic", encoding="numbers"), "periodic"
    for family in ("normal", "logistic"):
        maps[f"mixture-{family}"] = Mixture(3, family=family), "linear"
        maps[f"mixture-{family}-softplus"] = Mixture(3, family=family, scale="softplus", scale_epsilon=0.05), "linear"
        bounded[f"mixture-{family}-uniform"] = Mixture(3, family=family, target="uniform")
    maps["sinh_arcsinh"] = "sinh_arcsinh", "linear"
    for name, (transformer, on) in maps.items():
        options = SMALL | {"transformer": transformer}
        given = "elementwise", options | {"columns": [0, 2]}
        chain = [
            ("coupling", options | {"mask": "first"}), ("-coupling", options | {"mask": "last"}),
            ("autoregressive", options | {"order": [1, 2, 0]}), ("-autoregressive", options),
            ("autoregressive", options | {"inverse_map": True}), ("elementwise", {"transformer": transformer}), given,
        ]  # fmt: skip
        low, high = (-2.0, 2.0) if name == "spline-numbers" else (-2.0, 2.5)
        box = on in ("interval", "periodic", "half_turn")
        found[name] = spec(3, *chain, context=2, base=("uniform", {"low": low, "high": high}) if box else None)
    for name, transformer in bounded.items():  # all columns must leave the line
        options, unit = SMALL | {"transformer": transformer}, ("domain", {"domain": "logit", "low": 0, "high": 1})
        found[name] = spec(3, ("coupling", options | {"mask": [False] * 3}), unit, context=2)
        found[f"{name}-autoregressive"] = spec(3, ("autoregressive", options), unit)
        found[f"{name}-elementwise"] = spec(3, ("elementwise", {"transformer": transformer}), unit)
        found[f"{name}-inverse"] = spec(3, ("-domain", unit[1]), ("-autoregressive", options))
    for scale in SCALES:
        kinds = "coupling", "-coupling", "autoregressive", "-autoregressive"
        found[f"scale-{scale}"] = spec(3, *[(kind, SMALL | {"scale": scale}) for kind in kinds], context=1)
    for activation in ACTIVATIONS:
        chain = [(kind, SMALL | {"activation": activation}) for kind in ("coupling", "autoregressive")]
        found[f"activation-{activation}"] = spec(3, *chain)
    for blocks in ("residual", "preactivation"):
        for mode in ("input", "gate", "shift", "add"):
            options = BLOCKS | {"blocks": blocks, "context_mode": mode, "normalized": blocks == "preactivation"}
            chain = [(kind, options) for kind in ("coupling", "autoregressive")]
            found[f"{blocks}-{mode}"] = spec(3, *chain, context=2, standardize=True)
    found["plain-shift"] = spec(3, ("autoregressive", SMALL | {"context_mode": "shift"}), context=2, standardize=True)
    two = SMALL | {"scale_activation": "tanh", "scale": "exp"}
    found["two-networks"] = spec(4, ("coupling", two), ("-coupling", two), context=1, standardize=True)
    found["direct"] = spec(3, ("autoregressive", SMALL | {"direct": True}), context=1)
    simple = {
        "permutation": {"permutation": [2, 0, 1]}, "reverse": {}, "random_permutation": {}, "actnorm": {},
        "elementwise_affine": {}, "batch_norm": {}, "lu": {}, "linear": {}, "householder": {"reflections": 2},
        "planar": {}, "radial": {}, "dequantize": {"levels": 4},
        "standardize": {"mean": [1.0, 2, 3], "std": [1.0, 2, 3]},
    }  # fmt: skip
    for kind, options in simple.items():
        found[kind] = spec(3, (kind, options))
        found[f"{kind}-inverse"] = spec(3, (f"-{kind}", options))
    found["planar-given"] = spec(
        3, ("planar", {"hidden": (5,)}), ("-planar", {"hidden": (5,)}), context=2, standardize=True
    )
    found["radial-given"] = spec(
        3, ("radial", {"hidden": (5,)}), ("-radial", {"hidden": (5,)}), context=2, standardize=True
    )
    turn = {"low": -2.0, "high": 2.5}
    found["wrap"] = spec(3, ("wrap", turn), base=("uniform", turn))
    found["wrap-inverse"] = spec(3, ("-wrap", turn), base=("uniform", turn))
    some = {"columns": [0, 2]}
    turns = some | {"low": [-3.0, -2.0], "high": 2.5}
    found["wrap-columns"] = spec(3, ("wrap", turns), base=("uniform", turn))
    found["wrap-columns-inverse"] = spec(3, ("-wrap", turns), base=("uniform", turn))
    found["dequantize-columns"] = spec(3, ("dequantize", some | {"levels": [4, 0]}))
    found["dequantize-columns-inverse"] = spec(3, ("-dequantize", some | {"levels": [4, 0]}))
    return found


def bases():
    """Each kind of base, with trained parameters and with those of a context."""
    chain = [("coupling", SMALL)]
    found = {"none": spec(3), "standard_normal": spec(3, *chain), "logistic": spec(3, *chain, base=("logistic", {}))}
    found["uniform"] = spec(3, base=("uniform", {"low": -1.0, "high": 2.0}))
    for base, options in {"normal": {}, "student_t": {"df": 3.0}, "mixture": {"components": 3}}.items():
        found[base] = spec(3, *chain, base=(base, options))
        found[f"{base}-given"] = spec(
            3, *chain, context=2, standardize=True, base=(base, options | {"hidden": (5,), "activation": "tanh"})
        )
    for conditional in ("gaussian", "mixture"):
        made = "made", SMALL | {"conditional": conditional, "components": 3, "order": [1, 2, 0]}
        found[f"made-{conditional}"] = spec(3, *chain, context=2, standardize=True, base=made)
        masks = "made", made[1] | {"masks": 2, "order": "random", "degrees": "random"}
        found[f"made-{conditional}-masks"] = spec(3, *chain, base=masks)
    return {f"base-{name}": flow for name, flow in found.items()}


def unknown():
    """What no exporter knows yet, each wherever there can be one; `probit` is among the domains."""
    spline, normed = SMALL | {"transformer": LinearSpline(4)}, SMALL | {"layer_norm": True}
    found = {f"linear_spline-{kind}": spec(3, (kind, spline)) for kind in ("coupling", "-coupling", "autoregressive")}
    found["linear_spline-elementwise"] = spec(3, ("elementwise", {"transformer": LinearSpline(4)}))
    for kind in ("coupling", "elementwise", "planar", "radial"):
        found[f"layer_norm-{kind}"] = spec(3, (kind, normed), context=2, standardize=True)
    found["layer_norm-base"] = spec(3, context=2, base=("normal", normed))
    found["embedding"] = spec(3, ("coupling", SMALL), context=4, embedding=Embedding(2, hidden=(5,)))
    return found


def unknown_bases():
    """Bases that no exporter knows yet."""
    found = {"beta": ("beta", {"low": -20.0, "high": 20.0})}
    for name in ("full", "precision"):
        found[f"mixture-{name}"] = "mixture", {"components": 3, "covariance": name}
    found["mixture-epsilon"] = "mixture", {"components": 3, "epsilon": 1e-4}
    found["mixture-softplus"] = "mixture", {"components": 3, "diagonal": "softplus"}
    given = {f"{name}-given": (base[0], base[1] | SMALL) for name, base in found.items() if base[0] == "mixture"}
    every = found | given
    return {f"base-{name}": spec(3, ("coupling", SMALL), context=2, base=base) for name, base in every.items()}


EVERY = {**named(), **layers(), **bases(), **unknown(), **unknown_bases()}
