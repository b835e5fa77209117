"""Write the golden files of image flows: converted flows of other libraries, and what those compute.

    python Tests/golden/make_images.py [name ...]

Needs torch, nflows, normflows, FrEIA, numpy, h5py and Diffeo; README.md names the versions. The flows are those of
Tests/exchange/flows.py, and a Glow in the layout of glow-pytorch, of Tests/exchange/glow_module.py. Files are as those
of make.py, but for the weights, which Diffeo's converters arrange; rows of classes are one-hot.
"""

import sys
from importlib.metadata import version
from pathlib import Path

import diffeo
import h5py
import numpy as np
import torch
from diffeo.exchange import source_of

sys.path.insert(0, str(Path(__file__).parents[1] / "exchange"))

import flows
from glow_module import random_glow

torch.set_default_dtype(torch.float64)  # of what libraries make on the way

FOLDER = Path(__file__).parent
ROWS = 16
NAMES = [
    "nflows-images", "nflows-images-spline", "normflows-images", "normflows-images-classes", "FrEIA-images-haar",
    "glow-pytorch",
]  # fmt: skip


class Standard:
    """A Glow of glow-pytorch, its noise standardised but for that of the last block, in the order of Diffeo's rows."""

    def __init__(self, model):
        self.model = model

    def density(self, x, context):
        log_p, log_det, _ = self.model(x)
        return log_p + log_det

    def to_noise(self, x, context):
        found, total = [], 0.0
        x = torch.from_numpy(x.reshape(len(x), 2, 8, 8))
        with torch.no_grad():
            for block in self.model.blocks:
                x, log_det, _, z = block(x)
                total = total + log_det
                if block.split:
                    mean, log_std = block.prior(x).chunk(2, dim=1)
                    z, total = (z - mean) * torch.exp(-log_std), total - log_std.sum(dim=(1, 2, 3))
                found.insert(0, z.flatten(1))
        return torch.cat(found, dim=1).numpy(), total.numpy()

    def from_noise(self, z, context):
        raise NotImplementedError


class Library:
    """A flow of a library."""

    def __init__(self, library, flow):
        self.library, self.flow, source = library, flow, source_of(flow)
        self.to_noise, self.from_noise = source.to_noise, source.from_noise

    def density(self, x, context):
        if self.library == "FrEIA":
            z, log_det = self.flow(x)
            return log_det - 0.5 * (z**2 + np.log(2 * np.pi)).flatten(1).sum(1)
        given = () if context is None else (context,)
        return self.flow.log_prob(x, *given)


def write(path, ours, peer, rng):
    """As `write` of make.py says; where the library has no inverse, `noise` is where samples of Diffeo go."""
    context = np.eye(ours.context_dim)[np.arange(ROWS) % ours.context_dim] if ours.context_dim else None
    x, from_noise = (ours.sample(ROWS, context, seed=rng.integers(2**32)).reshape(ROWS, -1) for _ in range(2))
    z, log_det = peer.to_noise(x, context)
    try:
        noise = rng.normal(size=z.shape)
        from_noise, back = peer.from_noise(noise, context)
    except NotImplementedError:
        noise, there = peer.to_noise(from_noise, context)
        back = -there
    given = (
        torch.from_numpy(x).requires_grad_(),
        None if context is None else torch.from_numpy(context).requires_grad_(),
    )
    density = peer.density(given[0].reshape(ROWS, *ours.shape), given[1])
    gradients = torch.autograd.grad(density.sum(), [each for each in given if each is not None])
    test = {"x": x, "log_prob": density.detach().numpy()} | ({} if context is None else {"context": context})
    golden = {"z": z, "log_det": log_det, "noise": noise, "from_noise": from_noise, "from_noise_log_det": back}
    golden |= {n: g.numpy() for n, g in zip(("gradient", "gradient_context"), gradients, strict=False)}
    ours.save(path)
    with h5py.File(path, "r+", libver=("v110", "v110")) as file:
        del file["self_test"]
        for group, arrays in {"self_test": test, "golden": golden}.items():
            for name, values in arrays.items():
                assert np.isfinite(values).all()
                file[f"{group}/{name}"] = values
    print(f"{path.name}: {ours!r}")


def main(names):
    for name in names or NAMES:
        rng = np.random.default_rng(list(name.encode()))
        if name == "glow-pytorch":
            model = random_glow()
            ours, peer = diffeo.exchange.from_glow_pytorch(model.state_dict(), 8, 8), Standard(model)
            ours.metadata["library"] = f"torch {version('torch')}"
        else:
            library, _, which = name.partition("-")
            theirs = flows.named(library)[which]
            ours, peer = diffeo.convert(theirs, dtype="float64"), Library(library, theirs)
            ours.metadata["library"] = f"{library} {version(library)}"
        write(FOLDER / f"{name}.h5", ours, peer, rng)


if __name__ == "__main__":
    main(sys.argv[1:])
