"""Write the golden gradients: converted flows of other libraries, and their derivatives by PyTorch's autograd.

    python Tests/golden/make_gradients.py [name ...]

Needs torch, zuko, nflows, normflows, pyro-ppl, FrEIA, numpy, h5py and Diffeo; README.md names the versions. The flows
are those of Tests/exchange/flows.py. Everything is float64, and random numbers are fixed by seeds. Each file of
gradients/ is the flow as Diffeo saves it, and under /gradients what the library and autograd make of it, see `write`.
"""

import sys
from importlib.metadata import version
from pathlib import Path

import diffeo
import h5py
import numpy as np
import torch
from diffeo.exchange import source_of
from torch.distributions import Normal

sys.path.insert(0, str(Path(__file__).parents[1] / "exchange"))

import flows

torch.set_default_dtype(torch.float64)  # of what libraries make on the way

FOLDER = Path(__file__).parent / "gradients"
ROWS = 16
SEED = 14  # of Diffeo's samples
PACKAGES = {"pyro": "pyro-ppl"}

NAMES = [
    "zuko-maf", "zuko-nice", "zuko-realnvp", "zuko-nsf", "zuko-ncsf", "zuko-mixture", "nflows-maf-context",
    "nflows-coupling-context", "nflows-spline-coupling", "nflows-linear", "normflows-coupling-sigmoid",
    "normflows-spline-coupling-context", "normflows-planar-radial", "pyro-conditional-affine", "FrEIA-glow",
]  # fmt: skip


# ------------------------------------------------------------------------------------------------------------ libraries


class Peer:
    """A flow of a library as functions of tensors: `to_noise` and `from_noise`, with log-determinants, and `base`, the
    log-density of noise.
    """

    def __init__(self, flow):
        self.flow = flow

    def parameters(self):
        return {name: p for name, p in self.flow.named_parameters() if p.requires_grad}

    def log_prob(self, x, context):
        z, log_det = self.to_noise(x, context)
        return self.base(z, context) + log_det

    def base(self, z, context):
        return Normal(0.0, 1.0).log_prob(z).sum(1)

    def normals(self, context):
        """Logits [n or 1, components], means and log-deviations [n or 1, components, dim] of a base of normals with
        parameters.
        """
        return None


class Zuko(Peer):
    def to_noise(self, x, context):
        return self.flow.transform(context).call_and_ladj(x)

    def from_noise(self, z, context):
        return self.flow.transform(context).inv.call_and_ladj(z)

    def log_prob(self, x, context):
        return self.flow(context).log_prob(x)

    def base(self, z, context):
        return self.flow.base(context).log_prob(z).expand(len(z))

    def normals(self, context):
        if type(self.flow.base).__name__ != "GMM":
            return None
        mixture = self.flow.base(context)
        return mixture.logits[None], mixture.base.mean[None], mixture.base.stddev.log()[None]


class Nflows(Peer):
    def to_noise(self, x, context):
        return self.flow._transform(x, context)

    def from_noise(self, z, context):
        try:
            return self.flow._transform.inverse(z, context)
        except RuntimeError:  # a linear layer wants torch.solve, which is no more
            return solved(self.to_noise, z, context)

    def log_prob(self, x, context):
        return self.flow.log_prob(x, context)

    def base(self, z, context):
        return self.flow._distribution.log_prob(z, context)

    def normals(self, context):
        base = self.flow._distribution
        match type(base).__name__:
            case "ConditionalDiagonalNormal":
                return one_normal(*base._compute_params(context))
            case "DiagonalNormal":
                return one_normal(base.mean_, base.log_std_)
        return None


class Normflows(Peer):
    def to_noise(self, x, context):
        try:
            return self._run([part.inverse for part in reversed(self.flow.flows)], x, context)
        except NotImplementedError:
            return solved(self.from_noise, x, context)

    def from_noise(self, z, context):
        return self._run(self.flow.flows, z, context)

    def base(self, z, context):
        return self.flow.q0.log_prob(z)

    def normals(self, context):
        return one_normal(self.flow.q0.loc, self.flow.q0.log_scale)

    def _run(self, parts, values, context):
        total = torch.zeros(len(values))
        for part in parts:
            values, log_det = part(values) if context is None else part(values, context=context)
            total = total + log_det
        return values, total


class Pyro(Peer):
    def parameters(self):
        parts = [getattr(part, "transform", part) for part in self.flow.transforms]  # some are wrapped
        modules = torch.nn.ModuleList(part for part in parts if isinstance(part, torch.nn.Module))
        return dict(modules.named_parameters())

    def to_noise(self, x, context):
        total = torch.zeros(len(x))
        for part in reversed(self.flow.condition(context).transforms):
            z = part.inv(x)
            total = total - self._log_det(part, z, x)
            x = z
        return x, total

    def from_noise(self, z, context):
        total = torch.zeros(len(z))
        for part in self.flow.condition(context).transforms:
            x = part(z)
            total = total + self._log_det(part, z, x)
            z = x
        return z, total

    def base(self, z, context):
        return self.flow.condition(context).base_dist.log_prob(z)

    def _log_det(self, part, z, x):
        log_det = part.log_abs_det_jacobian(z, x)
        return log_det if part.domain.event_dim else log_det.expand_as(x).sum(1)


class Freia(Peer):
    def to_noise(self, x, context):
        return self.flow(x)

    def from_noise(self, z, context):
        return self.flow(z, rev=True)


PEERS = {"zuko": Zuko, "nflows": Nflows, "normflows": Normflows, "pyro": Pyro, "FrEIA": Freia}


def one_normal(mean, log_scale):
    return torch.zeros(1, 1), mean[:, None], log_scale[:, None]


def solved(function, y, context, steps=30):
    """What a map takes to y, and log abs det of that way back: Newton's method, for a library that knows one direction.

    The last step starts where y is met, with a Jacobian that is held fixed: its derivative is that of the implicit
    function.
    """
    x = y.detach()
    for _ in range(steps):
        x = x.detach().requires_grad_()
        value, _ = function(x, context)
        jacobian = torch.stack([torch.autograd.grad(each.sum(), x, retain_graph=True)[0] for each in value.T], dim=1)
        x = x.detach() - torch.linalg.solve(jacobian, value - y)
    back, log_det = function(x, context)
    assert ((back - y).abs() < 1e-13 * (1 + y.abs())).all()
    return x, -log_det


def drawn(z, logits, means, log_scales):
    """Samples of a mixture of normals that move with it: of each column the distribution function, given the columns
    before it, is held fixed (Figurnov, Mohamed and Mnih 2018). Of one normal that is mean + std * noise.
    """
    columns, before = [], logits
    for i, column in enumerate(z.T[:, :, None]):
        weights, normal = torch.softmax(before, dim=1), Normal(means[:, :, i], torch.exp(log_scales[:, :, i]))
        below = (weights * normal.cdf(column)).sum(1, keepdim=True)
        density = (weights * torch.exp(normal.log_prob(column))).sum(1, keepdim=True)
        moving = column - (below - below.detach()) / density.detach()
        before = before + normal.log_prob(moving)
        columns.append(moving)
    return torch.cat(columns, dim=1)


# -------------------------------------------------------------------------------------------------------------- writing


def array(tensor):
    return tensor.detach().numpy().copy()


def tensor(values):
    return None if values is None else torch.from_numpy(values.copy()).requires_grad_()


def in_ours(flow, parameter, direction, step=1 / 1024):
    """How Diffeo's parameters move with those of the library along a direction: a central difference of order 8.

    It is exact but for rounding where the conversion copies or scales numbers, and as good as that where it does more.
    """
    start, total = parameter.detach().clone(), 0
    for steps, weight in enumerate((4 / 5, -1 / 5, 4 / 105, -1 / 280), start=1):
        for signed in (steps, -steps):
            parameter.data = start + signed * step * direction
            moved = source_of(flow).flow("float64").parameters()
            total = total + np.sign(signed) * weight / step * moved
    parameter.data = start
    return total


def rows(ours, context, rng):
    """Samples, and between them rows that are farther out, where the flow has a density."""
    x = ours.sample(ROWS, context, seed=rng.integers(2**32))
    wide = np.linspace(0.2, 3, ROWS)[:, None] * rng.normal(size=x.shape)
    usable = np.isfinite(ours.log_prob(wide, context)) & (np.arange(ROWS) % 2 == 1)
    return np.where(usable[:, None], wide, x)


def write(path, library, flow, rng):
    """The flow, and in /gradients

    context                   of the rows, if there is one
    directions                each how Diffeo's parameters move when one tensor of the library's moves at random

    and in a group for each of log_prob, to_noise, from_noise and sample

    x (of from_noise: z)      where it is evaluated; sample has an attribute `seed`, and Diffeo's noise
    log_prob, z, log_det, x   what it gives, by the library
    g_...                     L differentiated by what it gives
    rows, context             dL/dx (of from_noise dL/dz) and dL/dcontext by autograd
    slopes                    dL along the directions, of the library's own parameters, by autograd
    """
    peer, ours = PEERS[library](flow), diffeo.convert(flow, dtype="float64")
    ours.metadata["library"] = f"{library} {version(PACKAGES.get(library, library))}"
    context = rng.normal(size=(ROWS, ours.context_dim)) if ours.context_dim else None
    parameters = peer.parameters()
    along = {name: torch.from_numpy(rng.normal(size=tuple(p.shape))) for name, p in parameters.items()}
    x = rows(ours, context, rng)
    z, _ = ours.to_noise(rows(ours, context, rng), context)
    noise, _ = ours.to_noise(ours.sample(ROWS, context, seed=SEED), context)

    def sample(_, context):
        z, normals = torch.from_numpy(noise), peer.normals(context)
        z = z if normals is None else drawn(z, *normals)
        x, log_det = peer.from_noise(z, context)
        return x, peer.base(z, context) - log_det

    functions = {  # where it is evaluated, and what it gives
        "log_prob": (lambda x, context: (peer.log_prob(x, context),), {"x": x}, ["log_prob"]),
        "to_noise": (peer.to_noise, {"x": x}, ["z", "log_det"]),
        "from_noise": (peer.from_noise, {"z": z}, ["x", "log_det"]),
        "sample": (sample, {}, ["x", "log_prob"]),
    }
    ours.save(path)
    with h5py.File(path, "r+", libver=("v110", "v110")) as file:
        root = file.create_group("gradients")
        if context is not None:
            root["context"] = context
        directions = np.stack([in_ours(flow, p, along[name]) for name, p in parameters.items()])
        assert (directions != 0).any(axis=1).all(), "a tensor of the library moves nothing"
        root.create_dataset("directions", data=directions, compression="gzip", shuffle=True)
        for name, (function, where, gives) in functions.items():
            given = {"rows": tensor(*where.values()) if where else None, "context": tensor(context)}
            values = function(*given.values())
            cotangents = [rng.normal(size=tuple(value.shape)) for value in values]
            loss = sum((torch.from_numpy(g) * value).sum() for g, value in zip(cotangents, values, strict=True))
            given = {what: each for what, each in given.items() if each is not None}
            wanted = [*given.values(), *parameters.values()]
            found = torch.autograd.grad(loss, wanted, allow_unused=True, materialize_grads=True)
            slopes = [(a * g).sum() for a, g in zip(along.values(), found[len(given) :], strict=True)]
            arrays = {
                **where,
                **dict(zip(gives, map(array, values), strict=True)),
                **{f"g_{what}": g for what, g in zip(gives, cotangents, strict=True)},
                **dict(zip(given, map(array, found), strict=False)),
                "slopes": array(torch.stack(slopes)),
            }
            group = root.create_group(name)
            for key, numbers in arrays.items():
                assert np.isfinite(numbers).all()
                group[key] = numbers
        root["sample"].attrs["seed"] = SEED
    trained = ours.trained_parameters()
    moved = (directions != 0).any(axis=0)[trained].sum()
    print(f"{path.name}: {len(directions)} directions move {moved} of {trained.sum()} trained parameters")


def main(names):
    FOLDER.mkdir(exist_ok=True)
    for library in PEERS:
        chosen = [name for name in names or NAMES if name.startswith(f"{library}-")]
        made = flows.named(library) if chosen else {}
        for name in chosen:
            rng = np.random.default_rng(list(name.encode()))
            write(FOLDER / f"{name}.h5", library, made[name.removeprefix(f"{library}-")], rng)


if __name__ == "__main__":
    main(sys.argv[1:])
