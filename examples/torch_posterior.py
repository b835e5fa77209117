"""An amortised posterior: a flow and a network that reads the observation, trained together in PyTorch.

Each observation is ten draws of a normal distribution whose mean and log precision are wanted. The prior is conjugate,
so that the true posterior is known: its log-density is compared with the flow's on new observations.
"""

import sys

import diffeo.torch
import torch
from torch import nn
from torch.distributions import Gamma, Normal

STEPS = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
DRAWS = 10
SHAPE, RATE, STRENGTH = 3.0, 3.0, 0.5  # precision ~ Gamma(shape, rate), mean ~ N(0, 1 / (strength precision))


def simulate(n):
    """Parameters [n, 2] of the prior, and an observation of each [n, DRAWS]."""
    precision = Gamma(SHAPE, RATE).sample((n, 1))
    mean = torch.randn(n, 1) / (STRENGTH * precision).sqrt()
    return torch.cat([mean, precision.log()], 1), mean + torch.randn(n, DRAWS) / precision.sqrt()


def true_log_prob(theta, y):
    """Log-density of the posterior, which is normal-gamma."""
    mean, precision = theta[:, 0], theta[:, 1].exp()
    strength = STRENGTH + DRAWS
    center, spread = y.sum(1) / strength, ((y - y.mean(1, keepdim=True)) ** 2).sum(1)
    rate = RATE + (spread + STRENGTH * DRAWS * y.mean(1) ** 2 / strength) / 2
    of_mean = Normal(center, (strength * precision) ** -0.5).log_prob(mean)
    return of_mean + Gamma(SHAPE + DRAWS / 2, rate).log_prob(precision) + theta[:, 1]


class Embedding(nn.Module):
    """Eight numbers of the draws, whose order does not matter."""

    def __init__(self):
        super().__init__()
        self.each = nn.Sequential(nn.Linear(1, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU())
        self.together = nn.Sequential(nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 8))

    def forward(self, y):
        return self.together(self.each(y[..., None]).mean(-2))


if __name__ == "__main__":
    torch.set_num_threads(1)  # what is so small gains nothing by more
    diffeo.set_num_threads(1)
    torch.manual_seed(1)
    embedding = Embedding()
    flow = diffeo.torch.Flow(diffeo.maf(2, transforms=3, hidden=(32, 32), context_dim=8, standardize=False))
    optimizer = torch.optim.Adam([*embedding.parameters(), *flow.parameters()], lr=3e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    for step in range(STEPS):
        theta, y = simulate(256)
        loss = -flow.log_prob(theta, embedding(y)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if (step + 1) % 500 == 0:
            print(f"step {step + 1}: {loss.item():.3f} nats")

    with torch.no_grad():
        theta, y = simulate(20000)
        lost = true_log_prob(theta, y) - flow.log_prob(theta, embedding(y))
        print(f"KL divergence from the posterior {lost.mean():.4f} +- {lost.std() / len(lost) ** 0.5:.4f} nats")
        posterior = diffeo.torch.distribution(flow, embedding(y[0]))
        samples = posterior.sample((20000,))
    center = y[0].sum() / (STRENGTH + DRAWS)
    print(f"the first observation: mean {samples[:, 0].mean():.3f}, by the formula {center:.3f}")
