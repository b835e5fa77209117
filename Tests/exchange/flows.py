"""Flows of other libraries: named ones, of everything that converts, and random ones.

A builder gives a library's own flow with random weights, which are not those that it begins with. `log_prob` asks the
library by its public interface. Libraries are imported when they are needed.
"""

import math
from itertools import pairwise

import numpy as np

WEIGHT = 0.3  # standard deviation of weights


def randomise(module, seed, weight=WEIGHT):
    """Random weights, statistics of batch normalisation and marks of data seen, in float64."""
    import torch

    generator = torch.Generator().manual_seed(seed)

    def normal(tensor):
        return weight * torch.randn(tensor.shape, generator=generator, dtype=tensor.dtype)

    module = module.double().eval()
    exact_constants(module)
    for part in module.modules():
        if getattr(part, "w_perm", None) is not None:  # a rotation that FrEIA rounds to float32
            shape = part.w_perm.shape
            left, _, right = np.linalg.svd(part.w_perm.detach().numpy().reshape(shape[:2]))
            rotation = torch.from_numpy(left @ right)
            part.w_perm.data, part.w_perm_inv.data = rotation.reshape(shape), rotation.T.reshape(shape)
    base = getattr(module, "q0", None)
    if hasattr(base, "log_prob_val"):  # constants of normflows' uniform base, which double() does not reach
        base.low, base.high = base.low.double(), base.high.double()
        base.log_prob_val = -base.d * (base.high - base.low).log()
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.requires_grad:
                parameter.copy_(normal(parameter))
        for name, buffer in module.named_buffers():
            if name.endswith("running_var"):
                buffer.copy_(torch.exp(normal(buffer)))
            elif name.endswith("running_mean"):
                buffer.copy_(normal(buffer))
            elif name.endswith("data_dep_init_done"):
                buffer.fill_(1.0)
    return module


def exact_constants(module):
    """Constants of nflows that follow from others, in float64: it makes them in float32, or a cast has rounded them.

    sbi casts its flows, so that the log of 2 pi a column is off by 2.4e-8.
    """
    import torch

    for part in module.modules():
        if hasattr(part, "log_negative_slope"):
            part.log_negative_slope = torch.log(torch.tensor(part.negative_slope, dtype=torch.float64))
        if hasattr(part, "_log_z"):
            variance = getattr(part, "_var", 1.0)
            part._log_z.fill_(0.5 * np.prod(part._shape) * np.log(2 * np.pi * variance))
        if getattr(vars(part).get("temperature"), "ndim", 0):
            part.temperature = part.temperature.double()


def randomise_jax(tree, seed, weight=WEIGHT):
    """Every array of a flowjax distribution and some noise, in float64: its weights are not all alike."""
    import equinox as eqx
    import jax
    import jax.random as jr
    import paramax

    parts, rest = eqx.partition(tree, eqx.is_inexact_array, is_leaf=lambda leaf: isinstance(leaf, paramax.NonTrainable))
    leaves, shape = jax.tree_util.tree_flatten(parts)
    keys = jr.split(jr.key(seed), len(leaves))
    leaves = [leaf + weight * jr.normal(key, leaf.shape) for leaf, key in zip(leaves, keys, strict=True)]
    return eqx.combine(jax.tree_util.tree_unflatten(shape, leaves), rest)


# -------------------------------------------------------------------------------------------------------------- nflows


def concatenating(inputs, outputs, context=0, hidden=(8, 7), activation=None):
    """An MLP of nflows with the context: its coupling layers take any network of (kept columns, context)."""
    import torch
    from nflows.nn.nets import MLP

    class Conditioner(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.mlp = MLP([inputs + context], [outputs], hidden, activation or torch.tanh)

        def forward(self, kept, given=None):
            return self.mlp(kept if given is None else torch.cat([kept, given], dim=1))

    return Conditioner()


def nflows_flows():
    import nflows.distributions as d
    import nflows.flows as f
    import nflows.transforms as t
    import torch
    from nflows.nn.nets import ConvResidualNet, ResidualNet

    dim, context = 5, 3
    mask = [1, -1, 1, 0, 1]

    def net(inputs, outputs):
        return concatenating(inputs, outputs)

    def conditional(inputs, outputs):
        return concatenating(inputs, outputs, context)

    def residual(inputs, outputs, **more):
        return ResidualNet(inputs, outputs, 8, **more)

    def gated(inputs, outputs):
        return residual(inputs, outputs, context_features=context, use_batch_norm=True, activation=torch.tanh)

    def flow(*transforms, base=None):
        return f.Flow(t.CompositeTransform(transforms), base or d.StandardNormal([dim]))

    def made(kind, **more):
        return kind(dim, 9, context_features=context, **more)

    spline = {"num_bins": 4, "tails": "linear", "tail_bound": 2.5}
    multiscale = t.MultiscaleCompositeTransform(3)
    multiscale.add_transform(
        t.CompositeTransform([t.LULinear(8), t.AffineCouplingTransform([1, -1, 1, 0, 1, 0, 1, 1], net)]), [8]
    )
    inner = t.MaskedPiecewiseRationalQuadraticAutoregressiveTransform(4, 8, use_residual_blocks=False, **spline)
    parts = [t.HouseholderSequence(4, 2), t.RandomPermutation(4), t.BatchNorm(4), t.InverseTransform(inner)]
    multiscale.add_transform(t.CompositeTransform(parts), [4])
    multiscale.add_transform(t.ActNorm(2), [2])
    encoder = torch.nn.Sequential(torch.nn.Linear(context, 7), torch.nn.ReLU(), torch.nn.Linear(7, 2 * dim))

    class Images(torch.nn.Module):
        """Plain convolutions."""

        def __init__(self, inputs, outputs):
            super().__init__()
            first, middle = torch.nn.Conv2d(inputs, 5, 3, padding=1), torch.nn.Conv2d(5, 4, 1)
            last = torch.nn.Conv2d(4, outputs, 3, padding=1)
            self.net = torch.nn.Sequential(first, torch.nn.Tanh(), middle, torch.nn.Tanh(), last)

        def forward(self, x, context=None):
            return self.net(x)

    def convolutions(inputs, outputs):
        return ConvResidualNet(inputs, outputs, 6, num_blocks=2)

    def step(channels, network, kind=t.AffineCouplingTransform, **more):
        order = [1 if i % 2 else -1 for i in range(channels)]
        return [t.ActNorm(channels), t.OneByOneConvolution(channels), kind(order, network, **more)]

    images = t.MultiscaleCompositeTransform(2)
    images.add_transform(t.CompositeTransform([t.SqueezeTransform(), *step(12, convolutions)]), [12, 2, 4])
    images.add_transform(
        t.CompositeTransform(step(6, Images) + step(6, Images, t.AdditiveCouplingTransform)), [6, 2, 4]
    )
    splines = [
        t.InverseTransform(t.Sigmoid()),
        t.SqueezeTransform(),
        *step(
            4, convolutions, t.PiecewiseRationalQuadraticCouplingTransform,
            apply_unconditional_transform=True, img_shape=[2, 3], **spline,
        ),
        t.PointwiseAffineTransform(torch.zeros(4, 1, 1) + 0.3, torch.arange(1.0, 5.0)[:, None, None]),
        t.RandomPermutation(4),
        t.InverseTransform(t.SqueezeTransform()),
    ]  # fmt: skip
    maf = f.MaskedAutoregressiveFlow
    normed = {"batch_norm_within_layers": True, "batch_norm_between_layers": True}
    return {
        "maf": maf(dim, 9, 3, 2),
        "maf-feed-forward": maf(dim, 9, 2, 2, use_residual_blocks=False, activation=torch.nn.functional.elu),
        "maf-random-masks": maf(
            dim, 9, 3, 2, use_residual_blocks=False, use_random_masks=True, use_random_permutations=True
        ),
        "maf-batch-norm": maf(dim, 9, 2, 2, **normed),
        "maf-feed-forward-batch-norm": maf(dim, 9, 2, 2, use_residual_blocks=False, **normed),
        "maf-context": flow(
            made(t.MaskedAffineAutoregressiveTransform, use_batch_norm=True),
            t.InverseTransform(made(t.MaskedAffineAutoregressiveTransform, use_residual_blocks=False)),
            base=d.ConditionalDiagonalNormal([dim], encoder),
        ),
        "maf-one-column": f.Flow(
            t.MaskedAffineAutoregressiveTransform(1, 4, context_features=2), d.StandardNormal([1])
        ),
        "realnvp": f.SimpleRealNVP(dim, 8, 3, 2),
        "realnvp-batch-norm": f.SimpleRealNVP(dim, 8, 2, 2, use_volume_preserving=True, **normed),
        "coupling-context": flow(
            t.AffineCouplingTransform(mask, gated),
            t.AdditiveCouplingTransform(mask[::-1], conditional),
            t.InverseTransform(t.AffineCouplingTransform(mask[::-1], conditional)),
        ),
        "spline-coupling": flow(
            t.LULinear(dim, identity_init=False),
            t.PiecewiseRationalQuadraticCouplingTransform(mask, residual, apply_unconditional_transform=True, **spline),
            t.RandomPermutation(dim),
            t.PiecewiseRationalQuadraticCouplingTransform(mask, net, **spline),
            base=d.DiagonalNormal([dim]),
        ),
        "spline-autoregressive": flow(
            made(t.MaskedPiecewiseRationalQuadraticAutoregressiveTransform, **spline), t.ReversePermutation(dim)
        ),
        "linear": flow(
            t.LULinear(dim, identity_init=False),
            t.QRLinear(dim, 3),
            t.SVDLinear(dim, 4),
            t.NaiveLinear(dim, orthogonal_initialization=False),
            t.HouseholderSequence(dim, 3),
            t.PointwiseAffineTransform(torch.arange(dim) * 0.3, torch.arange(1.0, dim + 1)),
            t.PointwiseAffineTransform(0.5, 2.0),
            t.ActNorm(dim),
            t.BatchNorm(dim),
        ),
        "nonlinear": flow(
            t.PiecewiseRationalQuadraticCDF(dim, **spline),
            t.LogTanh(0.7),
            t.LeakyReLU(0.2),
            t.InverseTransform(t.LeakyReLU(0.3)),
            t.Tanh(),
            t.InverseTransform(t.Tanh()),
            t.Sigmoid(temperature=0.5),
            t.Logit(),
        ),
        "multiscale": f.Flow(multiscale, d.StandardNormal([8])),
        "images": f.Flow(images, d.StandardNormal([96])),
        "images-spline": flow(*splines, base=d.StandardNormal([1, 4, 6])),
    }


def glasflow_flows():
    from glasflow.flows import CouplingNSF, RealNVP

    arguments = {"n_inputs": 4, "n_transforms": 2, "n_neurons": 7}
    flows = {
        f"realnvp-{name}": RealNVP(**arguments, scale_activation=name, n_conditional_inputs=context)
        for name, context in (("nflows", None), ("nflows_general", 2), ("log1", None), ("log3", 2))
    }
    return flows | {"nsf": CouplingNSF(**arguments, n_conditional_inputs=2, linear_transform="lu")}


# ---------------------------------------------------------------------------------------------------------------- zuko


def zuko_flows():
    import torch
    import zuko
    from torch import nn
    from torch.distributions import Normal
    from torch.distributions.transforms import (
        AffineTransform,
        CumulativeDistributionTransform,
        ExpTransform,
        SoftplusTransform,
    )
    from zuko.distributions import DiagNormal
    from zuko.flows import MAF, NCSF, NICE, NSF, ElementWiseTransform, GeneralCouplingTransform, RealNVP
    from zuko.flows import MaskedAutoregressiveTransform as Masked
    from zuko.lazy import Flow, UnconditionalDistribution, UnconditionalTransform
    from zuko.transforms import AdditiveTransform, LULinearTransform, PermutationTransform, RotationTransform

    def constant(f, value):
        return UnconditionalTransform(f, value)

    graph = torch.tensor([[1, 0, 0, 0], [1, 1, 0, 0], [1, 0, 1, 0], [0, 1, 1, 1]], dtype=torch.bool)
    small = {"hidden_features": (9, 8)}
    order = UnconditionalTransform(PermutationTransform, torch.tensor([2, 0, 1, 3]), buffer=True)
    base = UnconditionalDistribution(DiagNormal, torch.linspace(-1, 1, 4), torch.linspace(0.5, 2, 4), buffer=True)
    additive = {"univariate": AdditiveTransform, "shapes": [()]}
    parts = [
        order,
        constant(RotationTransform, torch.zeros(4, 4)),
        constant(LULinearTransform, torch.zeros(4, 4)),
        Masked(4, **additive, **small),
        Masked(4, **small).inv,
        ElementWiseTransform(4),
        GeneralCouplingTransform(4, **small),
    ]

    def inverse_exp():
        return ExpTransform().inv

    probit = UnconditionalTransform(CumulativeDistributionTransform, Normal(*torch.tensor([0.5, 2.0]).double())).inv
    fixed = [
        Masked(4, **small),
        UnconditionalTransform(AffineTransform, torch.tensor(0.5), torch.tensor([2.0, 1, 0.5, -1.5]), buffer=True),
        UnconditionalTransform(SoftplusTransform),
        UnconditionalTransform(inverse_exp),
    ]

    def mixture(context, *, kind, **more):
        return Flow([Masked(4, context, **small)], zuko.mixtures.GMM(4, context, 3, kind, **more))

    return {
        "maf": MAF(5, 3, **small),
        "maf-random": MAF(5, randperm=True, activation=nn.ELU, **small),
        "maf-passes": MAF(5, 2, passes=2, **small),
        "maf-graph": MAF(4, transforms=2, adjacency=graph, **small),
        "maf-residual": MAF(5, 2, residual=True, hidden_features=(8, 8), activation=nn.SiLU),
        "maf-residual-widths": MAF(5, 2, residual=True, hidden_features=(8, 9, 9)),
        "maf-one-column": MAF(1, 2, **small),
        "maf-one-column-alone": MAF(1),
        "nice": NICE(5, 2, **small),
        "realnvp": RealNVP(4, randmask=True, activation=nn.Tanh, **small),
        "nsf": NSF(4, 2, bins=5, transforms=2, **small),
        "nsf-passes": NSF(4, bins=3, passes=2, transforms=2, slope=1e-2, **small),
        "nsf-one-column": NSF(1, bins=4),
        "guide": NSF(3, 2, transforms=3, hidden_features=(32, 32)),  # of docs/exchange.md
        "ncsf": NCSF(3, 1, bins=4, transforms=2, **small),
        "parts": Flow(parts, base),
        "fixed": Flow(fixed, base),
        "probit": Flow([probit, Masked(4, **small)], base),
        "mixture": mixture(0, kind="diagonal"),
        "mixture-spherical": mixture(0, kind="spherical", tied=True),
        "mixture-context": mixture(2, kind="diagonal", epsilon=0.0),
        "mixture-epsilon": mixture(2, kind="spherical", epsilon=1e-3, tied=True),
        "mixture-full": mixture(0, kind="full"),
        "mixture-full-context": mixture(2, kind="full"),
        "mixture-full-tied": mixture(2, kind="full", tied=True),
        "maf-residual-narrow": MAF(2, 1, residual=True, transforms=2, hidden_features=(2, 1)),  # one unit is cut
        "maf-gelu": MAF(3, 1, activation=nn.GELU, **small),
    }


# ----------------------------------------------------------------------------------------------------------- normflows


def normflows_flows():
    import normflows as nf
    import torch

    b, f, n = nf.distributions.base, nf.flows, nf.nets
    dim, pi = 5, math.pi
    mask = torch.tensor([1.0, 0, 1, 0, 1])

    def mlp(*sizes, **more):
        return n.MLP(list(sizes), **more)

    def flow(*parts, base=None):
        return nf.NormalizingFlow(base or b.DiagGaussian(dim), list(parts))

    def wide(values):
        return torch.tensor(values, dtype=torch.float64)

    def glow(**more):
        return flow(f.GlowBlock(6, 8, **more), f.GlowBlock(6, 8, **more), base=b.DiagGaussian((6, 1, 1)))

    def block(scale_map, split):
        kept = 3 if split == "channel" else 2
        return f.AffineCouplingBlock(mlp(kept, 8, 2 * (dim - kept)), scale_map=scale_map, split_mode=split)

    levels = [[f.LULinearPermute(2)], [f.MaskedAffineAutoregressive(4, 8, use_residual_blocks=False)]]
    top = [f.AffineCouplingBlock(mlp(4, 8, 8)), f.Permute(8)]
    context = {"num_context_channels": 3}

    def images(base, merge="channel", transform=None, **more):
        """Three levels of 2 x 8 x 8."""
        bases, steps, shape = [], [], (16, 1, 1)
        for level in range(3):
            bases.append(base(shape) if level else base((2 * shape[0], 1, 1)))
            blocks = [f.GlowBlock(2 * shape[0], 6, **more) for _ in range(2)]
            steps.append([*blocks, f.Squeeze()])
            shape = (shape[0] // 2, 2 * shape[1], 2 * shape[2])
        merges = [f.Merge(merge) for _ in bases[1:]]
        classes = not isinstance(bases[0], b.DiagGaussian)
        return nf.MultiscaleFlow(bases, steps, merges, transform, classes)

    def glow_base(shape):
        return b.GlowBase(shape, 3)

    def class_base(shape):
        return b.ClassCondDiagGaussian(shape, 3)

    logit = nf.transforms.Logit(0.05)
    inverted = {"split_mode": "channel_inv", "scale_map": "exp"}
    return {
        "masked-affine": flow(
            f.MaskedAffineFlow(mask, mlp(dim, 8, dim), mlp(dim, 8, dim)),
            f.ActNorm(dim),
            f.MaskedAffineFlow(1 - mask, mlp(dim, 8, dim), mlp(dim, 6, dim, output_fn="tanh", output_scale=2.0)),
            f.MaskedAffineFlow(mask, mlp(dim, 8, dim)),
            f.MaskedAffineFlow(1 - mask, None, mlp(dim, 8, dim, leaky=0.01)),
        ),
        **{
            f"coupling-{scale}": flow(block(scale, "channel"), f.Permute(dim, "swap"), block(scale, "channel_inv"))
            for scale in ("exp", "sigmoid", "sigmoid_inv")
        },
        "checkerboard": flow(
            f.AffineCouplingBlock(mlp(3, 8, 6), split_mode="checkerboard"),
            f.AffineCouplingBlock(mlp(3, 8, 3), scale=False, split_mode="checkerboard_inv"),
            f.Permute(6),
            base=b.DiagGaussian(6),
        ),
        "maf": flow(
            f.MaskedAffineAutoregressive(dim, 9),
            f.LULinearPermute(dim),
            f.InvertibleAffine(dim),
            f.MaskedAffineAutoregressive(dim, 9, use_residual_blocks=False, use_batch_norm=True),
            f.InvertibleAffine(dim, use_lu=False),
        ),
        "maf-context": nf.ConditionalNormalizingFlow(
            b.ConditionalDiagGaussian(dim, mlp(3, 8, 2 * dim)),
            [f.MaskedAffineAutoregressive(dim, 9, context_features=3), f.LULinearPermute(dim)],
        ),
        "spline-coupling": flow(f.CoupledRationalQuadraticSpline(dim, 2, 8, num_bins=4), f.LULinearPermute(dim)),
        "spline-coupling-context": nf.ConditionalNormalizingFlow(
            b.DiagGaussian(dim), [f.CoupledRationalQuadraticSpline(dim, 2, 8, num_bins=4, **context)]
        ),
        "spline-autoregressive": flow(
            f.AutoregressiveRationalQuadraticSpline(dim, 2, 8, num_bins=4, permute_mask=True),
            base=b.GaussianMixture(3, dim),
        ),
        "circular-coupling": flow(
            f.CircularCoupledRationalQuadraticSpline(4, 2, 8, range(4), num_bins=4, tail_bound=pi),
            base=b.Uniform(4, -pi, pi),
        ),
        "circular-autoregressive": flow(
            f.CircularAutoregressiveRationalQuadraticSpline(4, 2, 8, range(4), num_bins=4, tail_bound=pi),
            base=b.Uniform(4, -pi, pi),
        ),
        "planar-radial": flow(f.Planar((dim,)), f.Radial((dim,))),
        "glow": glow(),
        "glow-exp": glow(scale_map="exp", split_mode="channel_inv"),
        "glow-full": glow(use_lu=False, scale_map="sigmoid_inv"),
        "glow-additive": glow(scale=False, net_actnorm=True),
        "images": flow(
            f.GlowBlock(3, 5, leaky=0.01),
            f.AffineConstFlow((3, 2, 4)),
            f.GlowBlock(3, 5, split_mode="channel_inv", scale=False),
            f.Permute(3),
            base=b.DiagGaussian((3, 2, 4)),
        ),
        "images-classes": images(glow_base, net_actnorm=True),
        "images-class-means": images(class_base),
        "images-first": images(b.DiagGaussian, "channel_inv", logit, **inverted),
        "classes": nf.ClassCondFlow(b.ClassCondDiagGaussian(dim, 3), [f.LULinearPermute(dim), f.Permute(dim)]),
        "multiscale": nf.MultiscaleFlow(
            [b.DiagGaussian(2), b.DiagGaussian(2), b.DiagGaussian(4)],
            [*levels, top],
            [f.Merge("channel"), f.Merge("channel")],
            class_cond=False,
        ),
        "multiscale-classes": nf.MultiscaleFlow(
            [b.ClassCondDiagGaussian(2, 3), b.ClassCondDiagGaussian(2, 3)], levels, [f.Merge("channel_inv")]
        ),
        "circular-uniform": flow(
            f.CircularAutoregressiveRationalQuadraticSpline(4, 2, 8, range(4), num_bins=4, tail_bound=wide([pi] * 4)),
            base=b.UniformGaussian(4, range(4), wide([2 * pi] * 4)),
        ),
        "circular-some": flow(
            f.CircularCoupledRationalQuadraticSpline(3, 1, 8, [1], num_bins=4, tail_bound=wide([pi] * 3)),
            base=b.UniformGaussian(3, [1], wide([1.0, 2 * pi, 0.3])),
        ),
    }


# ------------------------------------------------------------------------------------------------------ Pyro and FrEIA


def pyro_flows():
    import pyro.distributions as d
    import pyro.distributions.transforms as t
    import torch
    from pyro.nn import AutoRegressiveNN, ConditionalAutoRegressiveNN, ConditionalDenseNN, DenseNN
    from torch import nn

    dim, bins = 5, 4

    def flow(*transforms, kind=d.TransformedDistribution):
        for seed, each in enumerate(transforms):
            if isinstance(each, nn.Module):
                randomise(each, seed, 0.2)
            if isinstance(each, t.BatchNorm):
                each.gamma.data = 0.5 + each.gamma.data.abs()
        loc = torch.zeros(dim, dtype=torch.float64)
        return kind(d.Normal(loc, torch.full_like(loc, 1.5)), list(transforms))

    hyper = DenseNN(2, [8], [3 * bins, 3 * bins, 3 * (bins - 1)])
    made = AutoRegressiveNN(dim, [9], param_dims=[bins, bins, bins - 1])
    affine = t.AffineAutoregressive
    context = 3

    def conditional(*transforms):
        return flow(*transforms, kind=d.ConditionalTransformedDistribution)

    def given(**more):
        return ConditionalAutoRegressiveNN(dim, context, [9], **more)

    splines = {"count_bins": bins, "order": "quadratic"}
    sizes = [dim * bins, dim * bins, dim * (bins - 1)]
    linear_hyper = DenseNN(2, [8], [3 * bins, 3 * bins, 3 * (bins - 1), 3 * bins])
    linear_made = AutoRegressiveNN(dim, [9], param_dims=[bins, bins, bins - 1, bins])
    loc = torch.linspace(-1, 1, dim, dtype=torch.float64)
    factors = 0.3 * torch.ones(3, dim, dim, dtype=torch.float64).tril() + torch.diag(loc.exp())
    normals = d.MultivariateNormal(torch.stack([loc, -loc, 2 * loc]), scale_tril=factors)
    weights = d.Categorical(logits=torch.tensor([0.3, -0.5, 1], dtype=torch.float64))

    def based(base, *transforms):
        return d.TransformedDistribution(base, [*flow(*transforms).transforms])

    return {
        "affine-autoregressive": flow(
            affine(AutoRegressiveNN(dim, [9, 8])),
            t.Permute(torch.tensor([2, 0, 1, 4, 3])),
            affine(AutoRegressiveNN(dim, [9], nonlinearity=nn.Tanh()), stable=True),
        ),
        "affine-autoregressive-skip": flow(affine(AutoRegressiveNN(dim, [9, 8], skip_connections=True)), t.Spline(dim)),
        "affine-coupling": flow(t.affine_coupling(dim, [8]), t.BatchNorm(dim), t.Householder(dim, 2)),
        "spline-coupling": flow(t.SplineCoupling(dim, 2, hyper, bins, 3.0, order="quadratic")),
        "spline-autoregressive": flow(t.SplineAutoregressive(dim, made, bins, order="quadratic")),
        "spline": flow(t.Spline(dim, bins, order="quadratic")),
        "linear-spline": flow(t.spline(dim, count_bins=bins)),
        "linear-spline-coupling": flow(t.SplineCoupling(dim, 2, linear_hyper, bins, 3.0)),
        "linear-spline-autoregressive": flow(t.SplineAutoregressive(dim, linear_made, bins)),
        "linear-conditional-spline": conditional(
            t.conditional_spline(dim, context, [8], count_bins=bins),
            t.conditional_spline_autoregressive(dim, context, [9], count_bins=3, bound=2.0),
        ),
        "mixture-base": based(d.MixtureSameFamily(weights, normals), t.affine_autoregressive(dim, [8])),
        "normal-base": based(d.MultivariateNormal(loc, scale_tril=factors[0]), t.spline(dim)),
        "beta-base": based(
            d.Beta(2 + loc, torch.full_like(loc, 3)).to_event(1), d.transforms.AffineTransform(-1.0, 2.0), t.spline(dim)
        ),
        "planar-radial": flow(t.Planar(dim), t.Radial(dim)),
        "conditional-affine": conditional(
            t.ConditionalAffineAutoregressive(given(nonlinearity=nn.Tanh())),
            t.Permute(torch.tensor([2, 0, 1, 4, 3])),
            t.ConditionalAffineAutoregressive(given(), stable=True),
            t.ConditionalAffineCoupling(2, ConditionalDenseNN(2, context, [8], [3, 3])),
            t.BatchNorm(dim),
        ),
        "conditional-skip": conditional(
            t.ConditionalAffineAutoregressive(given(skip_connections=True)),
            t.Permute(torch.tensor([2, 0, 1, 4, 3])),
            t.ConditionalSplineAutoregressive(dim, given(param_dims=[4, 4, 3], skip_connections=True), **splines),
        ),
        "conditional-spline": conditional(
            t.ConditionalSpline(DenseNN(context, [8], sizes), dim, bins, order="quadratic"),
            t.ConditionalSplineAutoregressive(dim, given(param_dims=[bins, bins, bins - 1]), **splines),
        ),
        "conditional-inverse": conditional(
            t.ConditionalAffineAutoregressive(given()).inv,
            t.conditional_planar(dim, context, [8]).inv,
            t.conditional_radial(dim, context, [8]).inv,
        ),
        "conditional-planar-radial": conditional(
            t.conditional_planar(dim, context, [8]), t.conditional_radial(dim, context, [8])
        ),
        "box-base": based(
            d.Uniform(loc - 2, 2 * loc + 5).to_event(1), t.Permute(torch.tensor([2, 0, 1, 4, 3])), t.spline(dim)
        ),
        "student-base": based(d.StudentT(loc + 4, loc, loc.exp()).to_event(1), t.spline(dim)),
        "log-normal-base": based(
            d.LogNormal(loc, loc.exp()).to_event(1), d.transforms.AffineTransform(-1.0, 0.5), t.spline(dim)
        ),
    }


def freia_flows():
    import FrEIA.framework as f
    import FrEIA.modules as m
    from torch import nn

    def net(inputs, outputs):
        return nn.Sequential(nn.Linear(inputs, 8), nn.ReLU(), nn.Linear(8, 7), nn.ReLU(), nn.Linear(7, outputs))

    def convolutions(inputs, outputs):
        return nn.Sequential(nn.Conv2d(inputs, 5, 3, padding=1), nn.ReLU(), nn.Conv2d(5, outputs, 3, padding=1))

    def mixed(inputs, outputs):
        first = nn.Conv2d(inputs, 5, 1), nn.BatchNorm2d(5), nn.ELU()
        return nn.Sequential(*first, nn.Conv2d(5, 6, 3, padding=1), nn.ELU(), nn.Conv2d(6, outputs, 1))

    def images(*modules):
        made = f.SequenceINN(2, 4, 8)
        for kind, words in modules:
            made.append(kind, **words)
            if hasattr(made[-1], "init_on_next_batch"):
                made[-1].init_on_next_batch = False
        return made

    def flow(*modules, context=0):
        made = f.SequenceINN(5)
        given = {"cond": 0, "cond_shape": (context,)} if context else {}
        for kind, words in modules:
            made.append(kind, **words, **(given if kind is not m.PermuteRandom else {}))
        return made

    own = {"subnet_constructor": net}
    rotated = {"permute_soft": True, "global_affine_type": "SIGMOID", "reverse_permutation": True}
    return {
        "glow": flow((m.GLOWCouplingBlock, own), (m.PermuteRandom, {"seed": 1}), (m.GLOWCouplingBlock, own)),
        "rnvp-context": flow((m.RNVPCouplingBlock, own | {"clamp_activation": "TANH"}), context=3),
        "nice": flow((m.NICECouplingBlock, own)),
        "one-sided": flow((m.AffineCouplingOneSided, own | {"clamp_activation": "SIGMOID"})),
        "conditional": flow((m.ConditionalAffineTransform, own), context=2),
        "all-in-one": flow((m.AllInOneBlock, own), (m.AllInOneBlock, own | {"learned_householder_permutation": 2})),
        "all-in-one-rotated": flow((m.AllInOneBlock, own | rotated)),
        "images": images(
            (m.IRevNetDownsampling, {"legacy_backend": True}),
            (m.GLOWCouplingBlock, {"subnet_constructor": convolutions}),
            (m.ActNorm, {}),
            (m.PermuteRandom, {"seed": 1}),
            (m.RNVPCouplingBlock, {"subnet_constructor": mixed}),
            (m.IRevNetDownsampling, {}),
            (m.NICECouplingBlock, {"subnet_constructor": convolutions}),
            (m.AllInOneBlock, {"subnet_constructor": mixed, "permute_soft": True}),
            (m.Flatten, {}),
            (m.AllInOneBlock, own),
        ),
        "images-haar": images(
            (m.HaarDownsampling, {"order_by_wavelet": True, "rebalance": 0.5}),
            (m.AllInOneBlock, {"subnet_constructor": convolutions}),
            (m.HaarUpsampling, {}),
            (m.AffineCouplingOneSided, {"subnet_constructor": convolutions}),
            (m.IRevNetDownsampling, {}),
            (m.IRevNetUpsampling, {}),
        ),
    }


# ------------------------------------------------------------------------------------------------------------- flowjax


def flowjax_flows():
    import equinox as eqx
    import flowjax.bijections as b
    import flowjax.distributions as d
    import flowjax.flows as f
    import jax.numpy as jnp
    import jax.random as jr

    key, dim = jr.key(0), 4
    normal, standard = d.Normal(jnp.zeros(dim)), d.StandardNormal((dim,))
    spline = b.RationalQuadraticSpline(knots=4, interval=2)
    small = {"flow_layers": 2, "nn_width": 8}
    maf, coupling = f.masked_autoregressive_flow, f.coupling_flow
    matrix = jnp.eye(dim) + 0.3 * jr.normal(key, (dim, dim))
    chain = b.Chain(
        [
            b.Affine(jnp.arange(4.0), jnp.arange(1.0, 5.0)),
            b.TriangularAffine(jnp.arange(4.0), matrix),
            b.TriangularAffine(jnp.arange(4.0), matrix, lower=False),
            b.Householder(jnp.arange(4.0)),
            b.Flip((dim,)),
            b.Loc(jnp.arange(4.0)),
            b.Scale(jnp.arange(1.0, 5.0)),
            b.Invert(b.Permute(jnp.array([2, 0, 3, 1]))),
            b.LeakyTanh(1.5, (dim,)),
            b.Indexed(b.Affine(jnp.zeros(2)), jnp.array([1, 3]), (dim,)),
            b.Concatenate([b.Affine(jnp.arange(3.0)), b.Identity((1,))]),
        ]
    )
    mixture = d.VmapMixture(eqx.filter_vmap(d.Normal)(jr.normal(key, (3, dim))), weights=jnp.ones(3))
    return {
        "maf": maf(key, base_dist=normal, **small),
        "maf-context": maf(key, base_dist=standard, cond_dim=2, nn_depth=2, nn_activation=jnp.tanh, **small),
        "iaf-context": maf(key, base_dist=standard, cond_dim=2, invert=False, **small),
        "maf-one-column": maf(key, base_dist=d.StandardNormal((1,)), cond_dim=2, **small),
        "maf-two-columns": maf(key, base_dist=d.StandardNormal((2,)), **small),
        "maf-spline": maf(key, base_dist=normal, transformer=spline, **small),
        "coupling": coupling(key, base_dist=normal, **small),
        "coupling-context": coupling(key, base_dist=normal, cond_dim=3, nn_depth=3, **small),
        "coupling-linear": coupling(key, base_dist=normal, cond_dim=3, nn_depth=0, **small),
        "coupling-spline": coupling(key, base_dist=normal, transformer=spline, cond_dim=1, **small),
        "planar": f.planar_flow(key, base_dist=normal, flow_layers=3),
        "planar-sampler": f.planar_flow(key, base_dist=normal, flow_layers=2, invert=False),
        "triangular-spline": f.triangular_spline_flow(key, base_dist=normal, flow_layers=2, knots=4),
        "triangular-spline-context": f.triangular_spline_flow(key, base_dist=normal, flow_layers=2, cond_dim=2),
        "chain": d.Transformed(mixture, chain),
        "student": d.Transformed(d.StudentT(jnp.full(dim, 3.0)), b.Flip((dim,))),
        "logistic-exp": d.Transformed(d.Logistic(jnp.zeros(dim)), b.Exp((dim,))),
    }


# ---------------------------------------------------------------------------------- distrax and TensorFlow Probability


def dense(rng, *sizes, activation=None, masks=None, weight=WEIGHT):
    """A network of plain JAX that its closure holds, as flax and haiku have it after `apply`: of the last axis."""
    import jax
    import jax.numpy as jnp

    layers = []
    for i, (inputs, outputs) in enumerate(pairwise(sizes)):
        matrix = weight * rng.normal(size=(inputs, outputs)) * (1 if masks is None else masks[i])
        layers.append((jnp.asarray(matrix), jnp.asarray(weight * rng.normal(size=outputs))))
    *hidden, (last, bias) = layers

    def network(x):
        for matrix, shift in hidden:
            x = (activation or jax.nn.relu)(x @ matrix + shift)
        return x @ last + bias

    return network


def made(rng, dim, hidden, **more):
    """Shift and log-scale of each column of the columns before it: TFP's AutoregressiveNetwork is not on JAX."""
    degrees = [np.arange(dim) + 1, *(np.arange(width) % max(1, dim - 1) + 1 for width in hidden)]
    masks = [after[None] >= before[:, None] for before, after in pairwise(degrees)]
    masks.append(np.repeat(degrees[0][None] > degrees[-1][:, None], 2, axis=1))
    network = dense(rng, dim, *hidden, 2 * dim, masks=masks, **more)
    return lambda x: network(x).reshape(*x.shape[:-1], dim, 2)


def distrax_flows():
    import distrax as d
    import jax
    import jax.numpy as jnp

    rng, dim, bins = np.random.default_rng(0), 5, 4
    normal = d.Independent(d.Normal(jnp.zeros(dim), jnp.ones(dim)), 1)
    even = jnp.arange(dim) % 2 == 0
    matrix = jnp.eye(dim) + WEIGHT * rng.normal(size=(dim, dim))

    def masked(mask, make, count, activation=None):
        network = dense(rng, dim, 8, 7, dim * count, activation=activation)
        return d.MaskedCoupling(mask, lambda x: network(x).reshape(*x.shape[:-1], dim, count), make)

    def affine(mask, scale=jnp.exp, activation=None):
        return masked(mask, lambda p: d.ScalarAffine(p[..., 0], scale(p[..., 1])), 2, activation)

    def spline(mask, boundary="unconstrained", low=-2.0, high=3.0, **more):
        return masked(mask, lambda p: d.RationalQuadraticSpline(p, low, high, boundary, **more), 3 * bins + 1, jnp.tanh)

    def split(swap):
        kept = 3 if swap else 2
        network = dense(rng, kept, 8, 2 * (dim - kept), activation=jax.nn.silu)

        def make(p):
            shift, log_scale = jnp.split(p, 2, axis=-1)
            return d.ScalarAffine(shift, log_scale=2 * jnp.tanh(log_scale))

        return d.SplitCoupling(dim - kept if swap else kept, 1, network, make, swap=swap)

    def each(bijector):
        return d.Block(bijector, 1)

    uniform = d.Independent(d.Uniform(jnp.full(dim, -1.0), jnp.ones(dim)), 1)
    linear = [
        each(d.ScalarAffine(jnp.arange(5.0), jnp.arange(1.0, 6.0))),
        each(d.Shift(jnp.arange(5.0))),
        d.DiagLinear(jnp.array([1.0, -2.0, 0.5, 1.5, -1.0])),
        d.TriangularLinear(matrix),
        d.Inverse(d.TriangularLinear(matrix, is_lower=False)),
        d.UnconstrainedAffine(matrix.T, jnp.arange(5.0)),
        d.LowerUpperTriangularAffine(matrix, jnp.arange(5.0)),
        d.DiagPlusLowRankLinear(jnp.arange(1.0, 6.0), matrix[:, :2], matrix[:, 2:4]),
    ]
    values = jnp.asarray(rng.normal(size=(dim, 3 * bins + 1)))
    nonlinear = [d.Sigmoid(), d.ScalarAffine(0.3, 0.5), d.Tanh(), d.ScalarAffine(0.0, 0.2)]
    nonlinear.append(d.RationalQuadraticSpline(values, -2.0, 2.0))
    pair = [affine(even, lambda a: jax.nn.softplus(a) + 1e-3), d.Inverse(affine(~even, jax.nn.sigmoid, jnp.tanh))]
    return {
        "coupling": d.Transformed(normal, d.Chain([affine(even), *pair])),
        "split": d.Transformed(normal, d.Chain([split(False), split(True)])),
        "spline": d.Transformed(normal, d.Chain([spline(even), spline(~even, "identity", min_bin_size=0.1)])),
        "spline-lower": d.Transformed(normal, d.Chain([spline(even, "lower_identity", min_knot_slope=0.01)])),
        "spline-circular": d.Transformed(uniform, spline(even, "circular", -1.0, 1.0)),
        "linear": d.Transformed(d.MultivariateNormalDiag(jnp.arange(5.0), jnp.arange(1.0, 6.0)), d.Chain(linear)),
        "nonlinear": d.Transformed(normal, d.Chain([each(bijector) for bijector in nonlinear])),
    }


def tfp_flows():
    import jax
    import jax.numpy as jnp
    from tensorflow_probability.substrates.jax import bijectors as b
    from tensorflow_probability.substrates.jax import distributions as d

    rng, dim, bins = np.random.default_rng(0), 5, 4
    normal = d.Sample(d.Normal(jnp.zeros(()), 1.0), sample_shape=[dim])
    matrix = jnp.eye(dim) + WEIGHT * rng.normal(size=(dim, dim))
    order = b.Permute([2, 0, 1, 4, 3])

    def nvp(kept, **more):
        network = dense(rng, abs(kept), 8, 7, 2 * (dim - abs(kept)), **more)
        return b.RealNVP(kept, shift_and_log_scale_fn=lambda x, count: jnp.split(network(x), 2, axis=-1))

    def two(kept):
        t, s = (dense(rng, kept, width, dim - kept, activation=jnp.tanh) for width in (6, 7))
        return b.RealNVP(fraction_masked=kept / dim, shift_and_log_scale_fn=lambda x, count: (t(x), jnp.tanh(s(x))))

    def maf(**more):
        return b.MaskedAutoregressiveFlow(made(rng, dim, [9, 8], **more))

    def clipped():
        network = made(rng, dim, [9])

        def shift_and_log_scale(x):
            p = network(x)
            return p[..., 0], jnp.clip(p[..., 1], -5.0, 3.0)

        return b.MaskedAutoregressiveFlow(shift_and_log_scale)

    def spline(kept):
        """As in the documentation of RationalQuadraticSpline."""
        moved = dim - kept
        body = dense(rng, kept, 8, 8)
        heads = [dense(rng, 8, moved * count) for count in (bins, bins, bins - 1)]

        def make(x, count):
            h = jax.nn.relu(body(x))
            w, v, s = (head(h).reshape(*x.shape[:-1], moved, -1) for head in heads)
            w, v = (jax.nn.softmax(each) * (4 - bins * 1e-2) + 1e-2 for each in (w, v))
            return b.RationalQuadraticSpline(w, v, jax.nn.softplus(s) + 1e-3, range_min=-2.0)

        return b.RealNVP(kept, bijector_fn=make)

    linear = [
        b.Shift(jnp.arange(5.0)),
        b.Scale(jnp.full((), 2.0)),
        b.Scale(log_scale=jnp.arange(5.0) / 5),
        b.ScaleMatvecDiag(jnp.array([1.0, -2.0, 0.5, 1.5, -1.0])),
        b.ScaleMatvecTriL(jnp.tril(matrix)),
        b.Invert(b.ScaleMatvecLU(matrix, jnp.array([2, 0, 1, 4, 3]))),
        b.Householder(jnp.full(5, 5**-0.5)),
        b.Permute([4, 3, 2, 1, 0]),
    ]
    tanh = b.Chain([b.Tanh(), b.Scale(0.3 * jnp.ones(()))])
    domains = [b.Exp(), b.Invert(b.Softplus()), b.Shift(jnp.ones(())), b.Softplus()]
    blocks = b.Blockwise([b.Chain(domains), b.Sigmoid(-jnp.ones(()), 2 * jnp.ones(())), tanh], block_sizes=[2, 2, 1])
    base = d.MultivariateNormalTriL(jnp.arange(5.0), jnp.tril(matrix))
    return {
        "maf": d.TransformedDistribution(normal, b.Chain([maf(), order, maf(activation=jnp.tanh)])),
        "iaf": d.TransformedDistribution(normal, b.Chain([b.Invert(maf()), order, b.Invert(clipped())])),
        "realnvp": d.TransformedDistribution(normal, b.Chain([nvp(2), order, nvp(-2), b.Invert(nvp(3)), two(3)])),
        "spline": d.TransformedDistribution(normal, b.Chain([spline(2), order, spline(3)])),
        "linear": d.TransformedDistribution(base, b.Chain(linear)),
        "blocks": d.TransformedDistribution(d.MultivariateNormalDiag(jnp.arange(5.0) / 5, jnp.full(5, 0.5)), blocks),
    }


# ------------------------------------------------------------------------------------------------------------- clients


def sbi_flows():
    """Estimators of data with units: what standardises them, and the conditions, is in the estimator or beside it."""
    import torch
    from sbi.neural_nets.embedding_nets import FCEmbedding
    from sbi.neural_nets.net_builders import flow as builders
    from sbi.neural_nets.net_builders import mdn

    theta = torch.tensor([0.0, 50.0, -1000.0]) + torch.tensor([0.1, 5.0, 100.0]) * torch.randn(100, 3)
    x = 5000 + 1000 * torch.randn(100, 2)
    small = {"hidden_features": 8, "num_transforms": 2}

    def build(name, **more):
        return getattr(builders, f"build_{name}")(theta, x, **small, **more)

    def mixture(columns=3, **more):
        made = mdn.build_mdn(theta[:, :columns], x, hidden_features=8, num_components=3, **more)
        made.net._epsilon = 0.0  # with which its log_prob is a density
        return made

    return {
        "made": builders.build_made(theta, x, hidden_features=12, num_mixture_components=4),
        "made-network": builders.build_made(
            theta,
            x,
            hidden_features=9,
            num_mixture_components=2,
            embedding_net=FCEmbedding(2, output_dim=4, num_layers=2, num_hiddens=7),
        ),
        "mdn": mixture(),
        "mdn-one-column": mixture(1, z_score_x=None),
        "mdn-network": mixture(embedding_net=FCEmbedding(2, output_dim=4, num_layers=2, num_hiddens=7)),
        "maf": build("maf"),
        "maf-embedding": build("maf", embedding_net=torch.nn.Linear(2, 3)),
        "maf-network": build("maf", embedding_net=FCEmbedding(2, output_dim=5, num_layers=2, num_hiddens=9)),
        "zuko-nsf-network": build("zuko_nsf", embedding_net=FCEmbedding(2, output_dim=4, num_layers=3, num_hiddens=7)),
        "maf-rqs": build("maf_rqs"),
        "nsf": build("nsf"),
        "nsf-structured": build("nsf", z_score_x="structured", z_score_y="structured"),
        "zuko-maf": build("zuko_maf"),
        "zuko-maf-plain": build("zuko_maf", z_score_x=None, z_score_y=None),
        "zuko-nsf-embedding": build("zuko_nsf", embedding_net=torch.nn.Linear(2, 3)),
        "zuko-nice": build("zuko_nice"),
        "zuko-ncsf": build("zuko_ncsf"),
    }


def denmarf_flows():
    """Copies of pytorch-flows, whose classes are known by their names."""
    from denmarf.flows import MADE, BatchNormFlow, FlowSequential, Reverse

    def flow(context=None, act="relu"):
        parts = [each for _ in range(2) for each in (MADE(4, 9, context, act=act), BatchNormFlow(4), Reverse(4))]
        return FlowSequential(*parts)

    return {"maf": flow(), "maf-context": flow(2, "tanh")}


def lampe_flows():
    import torch
    from lampe.inference import NPE
    from lampe.nn import ResMLP
    from zuko.flows import MAF, NSF

    class Embedding(torch.nn.Module):
        """As lampe's guide has it."""

        def __init__(self):
            super().__init__()
            self.embedding = ResMLP(5, 2, hidden_features=(8, 8, 6), activation=torch.nn.ELU)
            self.npe = NPE(3, 2, build=MAF, transforms=2, hidden_features=(8, 8))

        def forward(self, theta, x):
            return self.npe(theta, self.embedding(x))

    return {
        "npe": NPE(3, 2, build=MAF, transforms=2, hidden_features=(8, 8)),
        "npe-nsf": NPE(3, 2, build=NSF, transforms=2, hidden_features=(8, 8), bins=4),
        "npe-embedding": Embedding(),
    }


def nessai_flows():
    from nessai.flows import MaskedAutoregressiveFlow, NeuralSplineFlow, RealNVP
    from nessai.flows.distributions import MultivariateNormal
    from nessai.flows.utils import configure_model

    small = {"hidden_features": 8, "num_layers": 2, "num_blocks_per_layer": 2}
    return {
        "realnvp": RealNVP(4, **small, batch_norm_between_layers=True, linear_transform="lu"),
        "realnvp-context": RealNVP(4, **small, context_features=2, distribution=MultivariateNormal([4], var=2.0)),
        "maf": MaskedAutoregressiveFlow(4, **small, context_features=2),
        "nsf": NeuralSplineFlow(4, **small, num_bins=4),
        "glasflow": configure_model(
            {"n_inputs": 4, "n_neurons": 8, "n_blocks": 2, "n_layers": 2, "ftype": "glasflow-nsf"}
        ),
    }


def pocomc_flows():
    """Samplers, which are no modules: columns that are bounded on no, one or both sides."""
    import pocomc
    import zuko
    from scipy import stats

    rng, made = np.random.default_rng(0), {}
    for name, more in (("probit", {}), ("logit", {"transform": "logit"}), ("full", {"diagonal": False})):
        prior = pocomc.Prior(
            [stats.norm(3.0, 2.0), stats.uniform(-1.0, 5.0), stats.expon(2.0), stats.uniform(0.0, 1e-3)]
        )
        theirs = zuko.flows.MAF(4, transforms=2, hidden_features=(8, 8))
        sampler = pocomc.Sampler(prior, lambda x: -(x**2).sum(), flow=theirs)
        sampler.scaler = pocomc.scaler.Reparameterize(4, bounds=prior.bounds, **more)
        sampler.scaler.fit(np.stack([each.rvs(200, random_state=rng) for each in prior.dists], axis=1))
        randomise(theirs, 2)
        made[name] = sampler
    return made


def noisy(tree, seed, which=lambda path: True, weight=WEIGHT):
    """A tree of JAX with some noise in its arrays: `which` says by the path whether it is a weight."""
    import jax

    rng = np.random.default_rng(seed)

    def change(path, leaf):
        weights = hasattr(leaf, "dtype") and jax.numpy.issubdtype(leaf.dtype, np.floating)
        return leaf + weight * rng.normal(size=leaf.shape) if weights and which(jax.tree_util.keystr(path)) else leaf

    return jax.tree_util.tree_map_with_path(change, tree)


def pzflow_flows():
    """Flows of tables: all bijectors but those that add noise, and what pzflow makes by default."""
    import jax.numpy as jnp
    from pzflow import Flow, bijectors, distributions

    b, d, names = bijectors, distributions, "abcd"
    small = {"K": 4, "hidden_layers": 2, "hidden_dim": 8}
    bounds = b.ShiftBounds(np.array([-3.0, 0.0, 100.0, 5.0]), np.array([3.0, 1.0, 300.0, 6.0]), 4.0)
    parts = [
        b.InvSoftplus([3, 1], [1.0, 2.0]),
        b.StandardScaler(np.array([0.0, 3.0, -5.0, 7.0]), np.array([1.0, 0.3, 2.0, 0.5])),
        b.Shuffle(),
        b.Scale(0.5),
        b.NeuralSplineCoupling(B=3, transformed_dim=1, **small),
        b.Reverse(),
        b.ColorTransform(1, [1, 2, 3]),
        b.NeuralSplineCoupling(**small),
    ]
    given = b.Chain(
        b.NeuralSplineCoupling(n_conditions=1, **small), b.RollingSplineCoupling(2, n_conditions=2, **small)
    )
    made = {
        "default": Flow(names, b.Chain(bounds, b.RollingSplineCoupling(4, **small))),
        "conditional": Flow(names, given, conditional_columns="uv"),
        "parts": Flow(names, b.Chain(*parts), latent=d.Normal(4), seed=3),
        "beta": Flow(names, b.RollingSplineCoupling(4, **small), latent=d.CentBeta(4)),
        "periodic": Flow(names, b.RollingSplineCoupling(4, periodic=True, **small), latent=d.Uniform(4)),
    }
    for seed, flow in enumerate(made.values()):
        flow._params = noisy(flow._params, seed)
    made["conditional"]._condition_means = jnp.array([1.0, -5.0])
    made["conditional"]._condition_stds = jnp.array([0.5, 100.0])
    return made


def flowmc_flows():
    import jax
    import jax.numpy as jnp
    from flowMC.resource.model.common import Gaussian
    from flowMC.resource.model.nf_model.realNVP import RealNVP
    from flowMC.resource.model.nf_model.rqSpline import MaskedCouplingRQSpline

    key, covariance = jax.random.PRNGKey(0), jnp.diag(jnp.array([4.0, 0.01, 100.0, 1.0])) + 1e-3
    data = {"data_mean": jnp.array([1.0, 50.0, -3.0, 0.0]), "data_cov": covariance}
    base = Gaussian(jnp.arange(3.0), jnp.diag(jnp.arange(1.0, 4.0)))
    made = {
        "realnvp": RealNVP(4, 3, 8, key, **data),
        "realnvp-base": RealNVP(3, 2, 8, key, base_dist=base),
        "rqspline": MaskedCouplingRQSpline(4, 3, [8, 7], 4, key, (-3.0, 4.0), **data),
    }
    others = ("_mask", "_data", "base_dist")
    return {
        name: noisy(flow, seed, lambda path: not any(each in path for each in others))
        for seed, (name, flow) in enumerate(made.items())
    }


def numpyro_flows():
    """Posteriors of guides, with parameters of some noise, and a distribution of transforms of both directions."""
    import jax
    import jax.numpy as jnp
    import numpyro
    import numpyro.distributions as d
    from jax.example_libraries import stax
    from numpyro.infer import SVI, Trace_ELBO
    from numpyro.infer.autoguide import AutoIAFNormal

    def model():
        numpyro.sample("x", d.Normal(0.0, jnp.ones(3)).to_event(1))
        numpyro.sample("s", d.HalfNormal(2.0))

    def posterior(seed, guide):
        svi = SVI(model, guide, numpyro.optim.Adam(0.1), Trace_ELBO())
        params = noisy(svi.get_params(svi.init(jax.random.PRNGKey(seed))), seed)
        return d.TransformedDistribution(guide.get_base_dist(), guide.get_transform(params))

    t = d.transforms
    flow = posterior(1, AutoIAFNormal(model, num_flows=1, hidden_dims=[9]))
    constants = jnp.array([1.0, 0.5, 2.0, 0.2])
    matrix = jnp.tril(jnp.full((4, 4), 0.3)) + jnp.diag(constants)
    parts = [*flow.transforms, t.PermuteTransform(jnp.array([2, 0, 3, 1])), t.LowerCholeskyAffine(constants, matrix)]
    parts += [t.ComposeTransform(flow.transforms).inv, t.SigmoidTransform(), t.AffineTransform(-2.0, -4.0)]
    return {
        "iaf": posterior(2, AutoIAFNormal(model)),
        "iaf-skip": posterior(
            3, AutoIAFNormal(model, hidden_dims=[9, 7], skip_connections=True, num_flows=2, nonlinearity=stax.Tanh)
        ),
        "parts": d.TransformedDistribution(d.Normal(constants, 2 * constants).to_event(1), parts),
    }


def margarine_flows():
    import jax.numpy as jnp
    from flax import nnx
    from margarine.estimators.nice import NICE
    from margarine.estimators.realnvp import RealNVP

    theta = np.array([0.0, 50.0, -3.0]) + np.array([1.0, 10.0, 0.1]) * np.random.default_rng(0).normal(size=(200, 3))
    small = {"in_size": 3, "hidden_size": 8, "num_layers": 1}
    kinds = {"realnvp": (RealNVP, 3), "nice": (NICE, 3), "nice-even": (NICE, 2)}
    made = {}
    for seed, (name, (kind, count)) in enumerate(kinds.items()):
        graph, weights, rest = nnx.split(kind(jnp.asarray(theta), num_coupling_layers=count, **small), nnx.Param, ...)
        made[name] = nnx.merge(graph, noisy(weights, seed), rest)
    return made


def harmonic_flows():
    import jax.numpy as jnp
    from harmonic.model import RealNVPModel, RQSplineModel

    x = np.array([0.0, 50.0, -3.0]) + np.array([1.0, 10.0, 0.1]) * np.random.default_rng(0).normal(size=(64, 3))
    small = {"n_layers": 2, "n_bins": 4, "hidden_size": [8, 7], "spline_range": (-3.0, 4.0)}
    made = {
        "rqspline": RQSplineModel(3, standardize=True, **small),
        "rqspline-plain": RQSplineModel(3, temperature=1.0, **small),
        "realnvp": RealNVPModel(3, n_scaled_layers=3, n_unscaled_layers=1, standardize=True),
    }
    for seed, (name, model) in enumerate(made.items()):
        model.fit(jnp.asarray(x), epochs=1)
        weight = WEIGHT / 5 if name == "realnvp" else WEIGHT  # whose networks are always 128 wide
        model.state = model.state.replace(params=noisy(model.state.params, seed, weight=weight))
    return made


def bayesflow_flows():
    """In float32, which Keras on JAX keeps to, with random weights and scales of actnorm of both signs."""
    import bayesflow as bf
    import keras

    keras.utils.set_random_seed(0)

    def flow(dim, context=0, base="normal", **more):
        made = bf.networks.CouplingFlow(depth=2, base_distribution=base, **more)
        made.build((None, dim), (None, context) if context else None)
        return made

    def net(*widths, **more):
        return {"subnet_kwargs": {"widths": widths, **more}}

    base = bf.distributions.DiagonalNormal(mean=1.0, std=2.0, trainable_parameters=True)
    made = {
        "affine": flow(3, 2, **net(9, 8)),
        "orthogonal": flow(4, permutation="orthogonal", **net(9, 8, activation="mish")),
        "swap": flow(5, 1, permutation="swap", use_actnorm=False, transform_kwargs={"clamp": False}, **net(9)),
        "residual": flow(4, 3, permutation=None, **net(9, 9, 6, 6, residual=True, activation="silu")),
        "residual-wide": flow(4, 5, **net(7, 7, residual=True, activation="tanh")),
        "batch-norm": flow(4, 3, **net(9, 6, norm="batch", activation="relu")),
        "leaky": flow(4, 3, base=base, **net(9, 6, activation="leaky_relu")),
    }
    for seed, each in enumerate(made.values()):
        rng = np.random.default_rng(seed)
        for variable in each.variables:
            if "float" in str(variable.dtype):
                values = np.array(variable)
                noise = WEIGHT * rng.normal(size=values.shape)
                variable.assign(np.exp(noise) if "variance" in variable.path else values + noise)
    return made


TORCH = {"nflows": nflows_flows, "glasflow": glasflow_flows, "zuko": zuko_flows, "normflows": normflows_flows}
TORCH |= {"pyro": pyro_flows, "FrEIA": freia_flows}
TORCH |= {
    "sbi": sbi_flows,
    "lampe": lampe_flows,
    "denmarf": denmarf_flows,
    "nessai": nessai_flows,
    "pocomc": pocomc_flows,
}
JAX = {"flowjax": flowjax_flows, "distrax": distrax_flows, "tfp": tfp_flows}
JAX |= {"pzflow": pzflow_flows, "flowMC": flowmc_flows, "margarine": margarine_flows, "harmonic": harmonic_flows}
JAX |= {"bayesflow": bayesflow_flows, "numpyro": numpyro_flows}


def named(library):
    """All named flows of a library, by name, in float64."""
    if library in JAX:
        import jax

        jax.config.update("jax_enable_x64", True)
    if library in JAX and library != "flowjax":  # their networks are functions, or have noise already
        return JAX[library]()
    if library == "flowjax":
        return {name: randomise_jax(flow, seed) for seed, (name, flow) in enumerate(JAX[library]().items())}
    import torch

    torch.manual_seed(0)  # masks and permutations
    flows = TORCH[library]()
    if library in ("pyro", "pocomc"):  # their flows are no modules
        return flows
    made = {}
    for seed, (name, flow) in enumerate(flows.items()):
        # With small weights deep flows of many columns lose few digits, and so do covariances that a network makes.
        small = name.startswith(("images", "mixture-full-"))
        made[name] = randomise(flow, seed, WEIGHT / 3 if small else WEIGHT)
    if library == "zuko":
        _shift_triangle(made["parts"])
    return made


def _shift_triangle(flow):
    import torch

    with torch.no_grad():
        for parameter in flow.transform.transforms[2].parameters():
            parameter += torch.eye(len(parameter))


# ----------------------------------------------------------------------------------------------------------- densities


def log_prob(library, flow, x, context=None):
    """By the library's public interface."""
    if library == "pzflow":
        import pandas

        values = x if context is None else np.concatenate([x, context], axis=1)
        frame = pandas.DataFrame(values, columns=[*flow.data_columns, *(flow.conditional_columns or ())])
        return np.asarray(flow.log_prob(frame))
    if library == "bayesflow":  # Keras makes float32 of float64: test_given.py has what it says there
        from diffeo.exchange import source_of

        return source_of(flow).log_prob(x, context)
    if library in JAX:
        density = flow.predict if library == "harmonic" else flow.log_prob
        return np.asarray(density(x, context) if library == "flowjax" else density(x))
    import torch

    def tensor(values):
        return None if values is None else torch.from_numpy(np.array(values))

    torch.set_default_dtype(getattr(torch, x.dtype.name))  # for what libraries make on the way
    with torch.no_grad():
        if library == "pyro":
            density = (flow if context is None else flow.condition(tensor(context))).log_prob(tensor(x))
            return (density.sum(dim=1) if density.dim() > 1 else density).numpy()
        if library == "FrEIA":
            given = {} if context is None else {"c": [tensor(context)]}
            z, log_det = flow(tensor(x), **given)
            return (log_det - 0.5 * (z**2 + math.log(2 * math.pi)).flatten(1).sum(dim=1)).numpy()
        if library == "sbi":
            return flow.log_prob(tensor(x)[None], tensor(context))[0].numpy()
        if library == "denmarf":
            return flow.log_probs(tensor(x), tensor(context)).numpy()
        if library == "lampe":
            return flow(tensor(x), tensor(context)).numpy()
        if library == "pocomc":
            u = flow.scaler.forward(x)
            return flow.flow.flow().log_prob(tensor(u)).numpy() - flow.scaler.inverse(u)[1]
        if library == "zuko":
            return flow(tensor(context)).log_prob(tensor(x)).numpy()
        if library == "normflows":
            given = (tensor(context),) if context is not None or hasattr(flow, "merges") else ()
            return flow.log_prob(tensor(x), *given).numpy()
        given = {} if context is None else {"conditional" if library == "glasflow" else "context": tensor(context)}
        return flow.log_prob(tensor(x), **given).numpy()
