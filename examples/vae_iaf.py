"""A variational autoencoder whose posterior is an inverse autoregressive flow (Kingma et al. 2016), beside a Gaussian.

The 8 x 8 digits, black or white. Both have the same networks, seed and epochs; the evidence lower bounds (ELBO, in nats)
are of digits that neither has seen.
"""

import sys

import diffeo.torch
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.distributions import Bernoulli, Independent, Normal

SEED = int(sys.argv[1]) if len(sys.argv) > 1 else 1
EPOCHS = int(sys.argv[2]) if len(sys.argv) > 2 else 100
LATENT, HIDDEN, BATCH = int(sys.argv[3]), int(sys.argv[4]), 64


class Gaussian(nn.Module):
    """q(z | h) with a mean and a deviation for each latent column."""

    def __init__(self):
        super().__init__()
        self.moments = nn.Linear(HIDDEN, 2 * LATENT)

    def forward(self, h):
        mean, log_deviation = self.moments(h).chunk(2, -1)
        return Independent(Normal(mean, log_deviation.exp()), 1)


class InverseAutoregressive(nn.Module):
    """q(z | h) as a flow: the Gaussian of `diffeo.iaf` depends on h, and so do the layers after it."""

    def __init__(self):
        super().__init__()
        flow = diffeo.iaf(LATENT, transforms=2, hidden=(64,), context_dim=HIDDEN, standardize=False, seed=SEED)
        self.flow = diffeo.torch.Flow(flow)

    def forward(self, h):
        return diffeo.torch.distribution(self.flow, h)


def network(inputs, outputs):
    return nn.Sequential(nn.Linear(inputs, 128), nn.ReLU(), nn.Linear(128, outputs))


class Autoencoder(nn.Module):
    def __init__(self, posterior):
        super().__init__()
        torch.manual_seed(SEED)
        self.encoder, self.decoder = network(64, HIDDEN), network(LATENT, 64)
        self.posterior = posterior()

    def elbo(self, x):
        """Of each row, by one sample of z."""
        posterior = self.posterior(self.encoder(x).tanh())
        if isinstance(posterior, Independent):
            z = posterior.rsample()
            log_q = posterior.log_prob(z)
        else:
            z, log_q = posterior.rsample_and_log_prob()
        log_p = Bernoulli(logits=self.decoder(z)).log_prob(x).sum(-1) + Normal(0.0, 1.0).log_prob(z).sum(-1)
        return log_p - log_q


def fit(model, x):
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS)
    for e in range(EPOCHS):
        for rows in torch.randperm(len(x)).split(BATCH):
            optimizer.zero_grad()
            (-model.elbo(x[rows]).mean()).backward()
            optimizer.step()
        schedule.step()
        if e % 50 == 49: print(e+1, *bound(model, TEST, 50)[:2], bound(model, x, 10)[0], flush=True)


@torch.no_grad()
def bound(model, x, samples=200):
    rows = torch.stack([model.elbo(x) for _ in range(samples)]).mean(0)
    return rows.mean().item(), rows.std().item() / len(rows) ** 0.5, rows


if __name__ == "__main__":
    torch.set_num_threads(1)
    diffeo.set_num_threads(1)
    images = torch.from_numpy(load_digits().data).float()
    torch.manual_seed(0)
    images = (images / 16).round()[torch.randperm(len(images))]
    train, test = images[:1400], images[1400:]
    TEST = test
    import time
    res = {}
    for name, posterior in ("Gaussian", Gaussian), ("IAF", InverseAutoregressive):
        model = Autoencoder(posterior)
        t=time.process_time()
        fit(model, train)
        mean, error, rows = bound(model, test)
        res[name]=rows
        print(f"{name:10} test ELBO {mean:7.2f} +- {error:.2f} {time.process_time()-t:.1f}s", flush=True)
    d = res["IAF"]-res["Gaussian"]
    print(f"difference {d.mean():.2f} +- {d.std()/len(d)**.5:.2f}")
