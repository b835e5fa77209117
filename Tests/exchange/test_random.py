"""Random configurations of six libraries, converted: the converter compares both sides and refuses what differs.

Hypothesis draws dimensions, depths, widths, contexts, activations and splines; EXAMPLES in the environment says how
many of each. Needs the libraries: make test-exchange.
"""

import os
from functools import partial

import diffeo
import flows
import numpy as np
import pytest

hypothesis = pytest.importorskip("hypothesis")
from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

many = settings(
    max_examples=int(os.environ.get("EXAMPLES", "25")),
    deadline=None,
    suppress_health_check=list(hypothesis.HealthCheck),
    print_blob=True,
)
# JAX compiles each flow: fewer of them, and failures as they are found
few = settings(
    many,
    max_examples=int(os.environ.get("EXAMPLES", "10")),
    phases=(hypothesis.Phase.explicit, hypothesis.Phase.reuse, hypothesis.Phase.generate),
)
dims, contexts, widths = st.integers(1, 12), st.integers(0, 3), st.integers(1, 24)
seeds = st.integers(0, 2**31 - 1)


def check(library, flow, context):
    converted = diffeo.convert(flow, dtype="float64")
    rng = np.random.default_rng(0)
    given = rng.normal(size=(20, context)) if converted.context_dim else None
    x = converted.sample(20, given, seed=1)
    expected = flows.log_prob(library, flow, x, given)
    np.testing.assert_allclose(converted.log_prob(x, given), expected, rtol=1e-8, atol=1e-8)


def torch_activations():
    from torch import nn

    gelu = nn.GELU, lambda: nn.GELU(approximate="tanh")
    return st.sampled_from([nn.ReLU, nn.Tanh, nn.ELU, nn.SiLU, nn.LeakyReLU, nn.Softplus, nn.Sigmoid, *gelu])


@many
@given(st.data())
def test_nflows(data):
    torch = pytest.importorskip("torch")
    nflows = pytest.importorskip("nflows.flows")
    import nflows.distributions as d
    import nflows.transforms as t
    from nflows.nn.nets import ResidualNet

    dim, context, seed = data.draw(dims), data.draw(contexts), data.draw(seeds)
    torch.manual_seed(seed)
    activation = data.draw(torch_activations())()
    spline = {"num_bins": data.draw(st.integers(2, 8)), "tails": "linear", "tail_bound": data.draw(st.floats(0.5, 5.0))}
    chain = []
    for _ in range(data.draw(st.integers(1, 3))):
        residual, norm = data.draw(st.booleans()), data.draw(st.booleans())
        arguments = {
            "hidden_features": data.draw(widths), "context_features": context or None, "activation": activation,
            "num_blocks": data.draw(st.integers(1, 3)), "use_batch_norm": norm, "use_residual_blocks": residual,
            "random_mask": not residual and data.draw(st.booleans()),
        }  # fmt: skip

        def net(inputs, outputs, arguments=arguments, norm=norm):
            return ResidualNet(
                inputs, outputs, arguments["hidden_features"], arguments["context_features"],
                arguments["num_blocks"], activation, use_batch_norm=norm,
            )  # fmt: skip

        kinds = ["maf", "nsf", "permutation", "lu", "cdf"] + (["affine", "additive", "spline"] if dim > 1 else [])
        kind = data.draw(st.sampled_from(kinds))
        if kind in ("affine", "additive", "spline"):
            mask = data.draw(st.lists(st.booleans(), min_size=dim, max_size=dim).filter(lambda m: 0 < sum(m) < len(m)))
            mask = [int(m) for m in mask]
        match kind:
            case "maf":
                part = t.MaskedAffineAutoregressiveTransform(dim, **arguments)
            case "nsf":
                part = t.MaskedPiecewiseRationalQuadraticAutoregressiveTransform(dim, **arguments, **spline)
            case "affine":
                part = t.AffineCouplingTransform(mask, net)
            case "additive":
                part = t.AdditiveCouplingTransform(mask, net)
            case "spline":
                part = t.PiecewiseRationalQuadraticCouplingTransform(
                    mask, net, apply_unconditional_transform=data.draw(st.booleans()), **spline
                )
            case "permutation":
                part = t.RandomPermutation(dim)
            case "lu":
                part = t.LULinear(dim, identity_init=False)
            case "cdf":
                part = t.PiecewiseRationalQuadraticCDF(dim, **spline)
        chain.append(t.InverseTransform(part) if data.draw(st.booleans()) and kind != "lu" else part)
    flow = nflows.Flow(t.CompositeTransform(chain), d.StandardNormal([dim]))
    check("nflows", flows.randomise(flow, seed, 0.2), context)


@many
@given(st.data())
def test_zuko(data):
    torch = pytest.importorskip("torch")
    zuko = pytest.importorskip("zuko")
    dim, context, seed = data.draw(dims), data.draw(contexts), data.draw(seeds)
    torch.manual_seed(seed)
    hidden = data.draw(st.lists(widths, min_size=1, max_size=3))
    arguments = {"transforms": data.draw(st.integers(1, 3)), "hidden_features": hidden}
    arguments["activation"] = data.draw(torch_activations())
    kinds = ["MAF", "NSF", "NCSF"] + (["NICE"] if dim > 1 else [])
    kind = data.draw(st.sampled_from(kinds))
    if kind == "NICE":
        arguments["randmask"] = data.draw(st.booleans())
    elif dim > 1:
        arguments |= {"randperm": data.draw(st.booleans()), "residual": data.draw(st.booleans())}
        arguments["passes"] = data.draw(st.sampled_from([None, 2, dim]))
    if kind in ("NSF", "NCSF"):
        arguments |= {"bins": data.draw(st.integers(2, 9)), "slope": data.draw(st.sampled_from([1e-3, 1e-2]))}
    flow = getattr(zuko.flows, kind)(dim, context, **arguments)
    check("zuko", flows.randomise(flow, seed, 0.2), context)


@many
@given(st.data())
def test_normflows(data):
    torch = pytest.importorskip("torch")
    nf = pytest.importorskip("normflows")
    dim, context, seed = data.draw(dims), data.draw(contexts), data.draw(seeds)
    torch.manual_seed(seed)
    activation, width, blocks = data.draw(torch_activations()), data.draw(widths), data.draw(st.integers(1, 3))
    f, chain = nf.flows, []
    for _ in range(data.draw(st.integers(1, 3))):
        kinds = ["maf", "autoregressive spline", "lu", "permute"]
        if dim > 1:
            kinds += ["coupled spline"] + ([] if context else ["masked affine", "block", "actnorm"])
        if dim > 1 and not context:
            kinds += ["circular"]
        bins = {"num_bins": data.draw(st.integers(2, 8))}
        given = {"num_context_channels": context or None, "activation": activation}
        match data.draw(st.sampled_from(kinds)):
            case "maf":
                part = f.MaskedAffineAutoregressive(
                    dim,
                    width,
                    context or None,
                    blocks,
                    activation=activation(),
                    use_residual_blocks=bool(context) or data.draw(st.booleans()),
                )
            case "autoregressive spline":
                permuted = data.draw(st.booleans())
                part = f.AutoregressiveRationalQuadraticSpline(
                    dim, blocks, width, permute_mask=permuted, **bins, **given
                )
            case "coupled spline":
                part = f.CoupledRationalQuadraticSpline(
                    dim, blocks, width, reverse_mask=data.draw(st.booleans()), **bins, **given
                )
            case "circular":
                part = f.CircularCoupledRationalQuadraticSpline(dim, blocks, width, range(dim), tail_bound=40.0, **bins)
            case "lu":
                part = f.LULinearPermute(dim)
            case "permute":
                part = f.Permute(dim, data.draw(st.sampled_from(["shuffle", "swap"])))
            case "masked affine":
                b = torch.tensor([float(i % 2) for i in range(dim)])
                nets = [nf.nets.MLP([dim, data.draw(widths), dim]) if data.draw(st.booleans()) else None for _ in "st"]
                part = f.MaskedAffineFlow(b, *nets)
            case "block":
                part = f.AffineCouplingBlock(
                    nf.nets.MLP([(dim + 1) // 2, width, 2 * (dim // 2)]),
                    scale_map=data.draw(st.sampled_from(["exp", "sigmoid", "sigmoid_inv"])),
                )
            case "actnorm":
                part = f.ActNorm(dim)
        chain.append(part)
    whole = nf.ConditionalNormalizingFlow if context else nf.NormalizingFlow
    flow = whole(nf.distributions.base.DiagGaussian(dim), chain)
    check("normflows", flows.randomise(flow, seed, 0.2), context)


@many
@given(st.data())
def test_flowjax(data):
    jax = pytest.importorskip("jax")
    f = pytest.importorskip("flowjax.flows")
    import flowjax.bijections as b
    import flowjax.distributions as d
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    dim, context, seed = data.draw(st.integers(2, 12)), data.draw(contexts), data.draw(seeds)
    transformer = data.draw(st.sampled_from(["affine", "spline"]))
    gelu = jax.nn.gelu, partial(jax.nn.gelu, approximate=False)
    arguments = {
        "base_dist": d.Normal(jnp.zeros(dim)), "cond_dim": context or None, "flow_layers": data.draw(st.integers(1, 3)),
        "nn_width": data.draw(widths), "nn_depth": data.draw(st.integers(0, 3)), "invert": data.draw(st.booleans()),
        "nn_activation": data.draw(st.sampled_from([jax.nn.relu, jnp.tanh, jax.nn.silu, *gelu, jax.nn.softplus])),
    }  # fmt: skip
    if transformer == "spline":
        knots, interval = data.draw(st.integers(1, 8)), data.draw(st.floats(0.5, 5.0))
        arguments["transformer"] = b.RationalQuadraticSpline(knots=knots, interval=interval)
    make = data.draw(st.sampled_from([f.coupling_flow, f.masked_autoregressive_flow]))
    flow = make(jax.random.key(seed), **arguments)
    check("flowjax", flows.randomise_jax(flow, seed, 0.2), context)


def jax_activations():
    import jax

    names = ["relu", "tanh", "elu", "silu", "leaky_relu", "softplus", "sigmoid", "gelu"]
    return st.sampled_from([*(getattr(jax.nn, name) for name in names), partial(jax.nn.gelu, approximate=False)])


def given_context(data, build, context):
    """A function of a context that makes a flow, converted; against the flows that it makes."""
    library = build(np.zeros(context)).__class__.__module__.partition(".")[0]
    convert = diffeo.exchange.from_distrax if library == "distrax" else diffeo.exchange.from_tfp
    converted = convert(build, dtype="float64", context=context)
    assert converted.context_dim == context
    given = np.random.default_rng(0).normal(size=(4, context))
    x = converted.sample(4, given, seed=1)
    expected = [float(np.asarray(build(c).log_prob(row[None]))[0]) for row, c in zip(x, given, strict=True)]
    np.testing.assert_allclose(converted.log_prob(x, given), expected, rtol=1e-8, atol=1e-8)


def after(x, c):
    """A network's inputs: columns, and the same context for each row."""
    import jax.numpy as jnp

    return jnp.concatenate([x, jnp.broadcast_to(c, (*x.shape[:-1], len(c)))], axis=-1)


@few
@given(st.data())
def test_distrax(data):
    jax = pytest.importorskip("jax")
    d = pytest.importorskip("distrax")
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    dim, context = data.draw(st.integers(2, 8)), data.draw(contexts)
    rng = np.random.default_rng(data.draw(seeds))
    makers = []
    for _ in range(data.draw(st.integers(1, 2))):
        kind = data.draw(st.sampled_from(["affine", "spline", "split", "matrix"]))
        hidden, bins = data.draw(st.lists(widths, max_size=3)), data.draw(st.integers(2, 6))
        more = {"activation": data.draw(jax_activations()), "weight": 0.2}
        boundary = data.draw(st.sampled_from(["unconstrained", "identity", "lower_identity", "upper_identity"]))
        mask, turned = rng.permutation(np.arange(dim) < data.draw(st.integers(1, dim - 1))), data.draw(st.booleans())
        scale = data.draw(st.sampled_from([jnp.exp, lambda a: jnp.exp(2 * jnp.tanh(a)), jax.nn.sigmoid]))
        count = 3 * bins + 1 if kind == "spline" else 2
        kept = dim - int(mask.sum()) if turned else int(mask.sum())
        if kind == "split":
            network = flows.dense(rng, kept + context, *hidden, (dim - kept) * count, **more)
        else:
            network = flows.dense(rng, dim + context, *hidden, dim * count, **more)

        def part(c, kind=kind, network=network, mask=mask, count=count, scale=scale, boundary=boundary, turned=turned):
            def conditioner(x):
                p = network(after(x, c))
                return p.reshape(*p.shape[:-1], -1, count)

            def affine(p):
                return d.ScalarAffine(p[..., 0], scale(p[..., 1]))

            if kind == "split":
                return d.SplitCoupling(int(mask.sum()), 1, conditioner, affine, swap=turned)
            if kind == "spline":
                made = d.MaskedCoupling(
                    jnp.asarray(mask), conditioner, lambda p: d.RationalQuadraticSpline(p, -2.0, 1.5, boundary)
                )
            else:
                made = d.MaskedCoupling(jnp.asarray(mask), conditioner, affine)
            return d.Inverse(made) if turned else made

        matrix = jnp.asarray(np.eye(dim) + 0.2 * rng.normal(size=(dim, dim)) / dim)
        makers.append(part if kind != "matrix" else lambda c, m=matrix: d.LowerUpperTriangularAffine(m, m[0]))

    def build(c):
        base = d.MultivariateNormalDiag(jnp.zeros(dim), jnp.full(dim, 1.2))
        return d.Transformed(base, d.Chain([make(c) for make in makers]))

    if context:
        given_context(data, build, context)
    else:
        check("distrax", build(np.zeros(0)), 0)


@few
@given(st.data())
def test_tfp(data):
    jax = pytest.importorskip("jax")
    tfp = pytest.importorskip("tensorflow_probability.substrates.jax")
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    b, d = tfp.bijectors, tfp.distributions
    dim, context = data.draw(st.integers(1, 8)), data.draw(contexts)
    rng = np.random.default_rng(data.draw(seeds))
    makers = []
    for _ in range(data.draw(st.integers(1, 2))):
        kind = data.draw(st.sampled_from(["maf", "permute", "tril"] + (["nvp", "fraction"] if dim > 1 else [])))
        hidden, turned = data.draw(st.lists(widths, min_size=1, max_size=3)), data.draw(st.booleans())
        more = {"activation": data.draw(jax_activations()), "weight": 0.2}
        bound = data.draw(st.sampled_from([None, 1.0, 3.0]))
        kept = data.draw(st.integers(1, dim - 1)) if dim > 1 else 1

        def clipped(shift, log_scale, bound=bound):
            return shift, log_scale if bound is None else jnp.clip(log_scale, -bound, bound)

        match kind:
            case "maf":
                network = flows.made(rng, dim, hidden, **more)
                shift = flows.dense(rng, context, *[3 for _ in hidden], 2 * dim, **more)  # as deep: the two are one

                def part(c, network=network, shift=shift, clipped=clipped):
                    def function(x):
                        p = network(x) + (shift(c).reshape(dim, 2) if len(c) else 0)
                        return clipped(p[..., 0], p[..., 1])

                    return b.MaskedAutoregressiveFlow(function)

            case "nvp" | "fraction":
                network = flows.dense(rng, kept + context, *hidden, 2 * (dim - kept), **more)
                sign = data.draw(st.sampled_from([1, -1]))
                words = {"num_masked": sign * kept} if kind == "nvp" else {"fraction_masked": sign * kept / dim}

                def part(c, network=network, clipped=clipped, words=words):
                    def function(x, count):
                        return clipped(*jnp.split(network(after(x, c)), 2, axis=-1))

                    return b.RealNVP(**words, shift_and_log_scale_fn=function)

            case "permute":
                order = rng.permutation(dim)
                part = lambda c, order=order: b.Permute(order)  # noqa: E731
            case "tril":
                matrix = jnp.asarray(np.tril(np.eye(dim) + 0.2 * rng.normal(size=(dim, dim)) / dim))
                part = lambda c, matrix=matrix: b.ScaleMatvecTriL(matrix)  # noqa: E731
        makers.append((lambda c, part=part: b.Invert(part(c))) if turned else part)

    def build(c):
        base = d.MultivariateNormalDiag(jnp.zeros(dim), jnp.full(dim, 1.2))
        return d.TransformedDistribution(base, b.Chain([make(c) for make in makers]))

    if context:
        given_context(data, build, context)
    else:
        check("tfp", build(np.zeros(0)), 0)
