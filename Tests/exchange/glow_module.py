"""A Glow with the names, shapes and formulas of rosinality/glow-pytorch, for its state dict and its densities."""

import math

import torch
from torch import nn
from torch.nn import functional


class ActNorm(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.loc = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.scale = nn.Parameter(torch.ones(1, channels, 1, 1))
        self.register_buffer("initialized", torch.tensor(1, dtype=torch.uint8))

    def forward(self, x):
        places = x.shape[2] * x.shape[3]
        return self.scale * (x + self.loc), places * self.scale.abs().log().sum()


class Mixing(nn.Module):
    """The 1x1 convolution as one matrix."""

    def __init__(self, channels):
        super().__init__()
        self.weight = nn.Parameter(torch.linalg.qr(torch.randn(channels, channels))[0][:, :, None, None])

    def forward(self, x):
        places = x.shape[2] * x.shape[3]
        return functional.conv2d(x, self.weight), places * self.weight.squeeze().slogdet()[1]


class MixingLU(nn.Module):
    """... by its factors."""

    def __init__(self, channels):
        super().__init__()
        p, lower, upper = torch.linalg.lu(torch.linalg.qr(torch.randn(channels, channels))[0])
        diagonal = upper.diagonal()
        self.register_buffer("w_p", p)
        self.register_buffer("u_mask", torch.ones(channels, channels).triu(1))
        self.register_buffer("l_mask", torch.ones(channels, channels).tril(-1))
        self.register_buffer("s_sign", diagonal.sign())
        self.register_buffer("l_eye", torch.eye(channels))
        self.w_l = nn.Parameter(lower)
        self.w_s = nn.Parameter(diagonal.abs().log())
        self.w_u = nn.Parameter(upper.triu(1))

    def forward(self, x):
        lower = self.w_l * self.l_mask + self.l_eye
        upper = self.w_u * self.u_mask + torch.diag(self.s_sign * self.w_s.exp())
        weight = (self.w_p @ lower @ upper)[:, :, None, None]
        return functional.conv2d(x, weight), x.shape[2] * x.shape[3] * self.w_s.sum()


class ZeroConv(nn.Module):
    """A convolution of a map with ones around it, and a gain."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3)
        self.scale = nn.Parameter(torch.zeros(1, outputs, 1, 1))
        nn.init.zeros_(self.conv.weight)
        nn.init.zeros_(self.conv.bias)

    def forward(self, x):
        return self.conv(functional.pad(x, (1, 1, 1, 1), value=1.0)) * torch.exp(3 * self.scale)


class Coupling(nn.Module):
    def __init__(self, channels, hidden, affine):
        super().__init__()
        self.affine = affine
        first, middle = nn.Conv2d(channels // 2, hidden, 3, padding=1), nn.Conv2d(hidden, hidden, 1)
        last = ZeroConv(hidden, channels if affine else channels // 2)
        self.net = nn.Sequential(first, nn.ReLU(), middle, nn.ReLU(), last)

    def forward(self, x):
        kept, moved = x.chunk(2, dim=1)
        if not self.affine:
            return torch.cat([kept, moved + self.net(kept)], dim=1), 0.0
        log_s, t = self.net(kept).chunk(2, dim=1)
        s = torch.sigmoid(log_s + 2)
        return torch.cat([kept, (moved + t) * s], dim=1), s.log().sum(dim=(1, 2, 3))


class Step(nn.Module):
    def __init__(self, channels, hidden, affine, lu):
        super().__init__()
        self.actnorm = ActNorm(channels)
        self.invconv = (MixingLU if lu else Mixing)(channels)
        self.coupling = Coupling(channels, hidden, affine)

    def forward(self, x):
        total = 0.0
        for part in (self.actnorm, self.invconv, self.coupling):
            x, log_det = part(x)
            total = total + log_det
        return x, total


def squeeze(x):
    rows, c, h, w = x.shape
    return x.reshape(rows, c, h // 2, 2, w // 2, 2).permute(0, 1, 3, 5, 2, 4).reshape(rows, 4 * c, h // 2, w // 2)


def normal(x, mean, log_std):
    return (-0.5 * math.log(2 * math.pi) - log_std - 0.5 * (x - mean) ** 2 * torch.exp(-2 * log_std)).sum(dim=(1, 2, 3))


class Block(nn.Module):
    def __init__(self, channels, steps, hidden, split, affine, lu):
        super().__init__()
        self.split = split
        self.flows = nn.ModuleList(Step(4 * channels, hidden, affine, lu) for _ in range(steps))
        self.prior = ZeroConv(2 * channels, 4 * channels) if split else ZeroConv(4 * channels, 8 * channels)

    def forward(self, x):
        x, total = squeeze(x), 0.0
        for step in self.flows:
            x, log_det = step(x)
            total = total + log_det
        if self.split:
            x, left = x.chunk(2, dim=1)
            return x, total, normal(left, *self.prior(x).chunk(2, dim=1)), left
        return x, total, normal(x, *self.prior(torch.zeros_like(x)).chunk(2, dim=1)), x


class Glow(nn.Module):
    """Gives the log-density of the noise, the log-determinant, and the noise of each block."""

    def __init__(self, channels, steps, blocks, hidden, affine=True, lu=True):
        super().__init__()
        self.blocks = nn.ModuleList()
        for i in range(blocks):
            self.blocks.append(Block(channels, steps, hidden, i < blocks - 1, affine, lu))
            channels *= 2

    def forward(self, x):
        log_p, total, noise = 0.0, 0.0, []
        for block in self.blocks:
            x, log_det, density, z = block(x)
            log_p, total = log_p + density, total + log_det
            noise.append(z)
        return log_p, total, noise


def random_glow(seed=0, **kind):
    """Two levels of 2 channels, in float64, away from what a new one has."""
    torch.manual_seed(seed)
    model = Glow(2, steps=2, blocks=2, hidden=5, **kind).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.04 * torch.randn_like(parameter)
        model.blocks[0].flows[0].actnorm.scale[0, 1] *= -1
    return model
