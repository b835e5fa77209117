"""A variational autoencoder whose posterior is an inverse autoregressive flow (Kingma et al. 2016), beside a Gaussian.

Each pixel of the 8 x 8 digits is a number of dots, of 16. Both autoencoders have the same encoder, decoder, seed and
epochs; the evidence lower bounds (ELBO, in nats) are of digits that neither has seen.

    python vae_iaf.py [seed] [epochs]
"""

import sys

import diffeo.torch
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.distributions import Binomial, Independent, Normal, TransformedDistribution

SEED = int(sys.argv[1]) if len(sys.argv) > 1 else 1
EPOCHS = int(sys.argv[2]) if len(sys.argv) > 2 else 150
PIXELS, FEATURES, LATENT = 64, 64, 32


class Gaussian(nn.Module):
    """q(z | h): a mean and a deviation of each latent column."""

    def __init__(self):
        super().__init__()
        self.moments = nn.Linear(FEATURES, 2 * LATENT)

    def forward(self, h):
        mean, log_deviation = self.moments(h).chunk(2, -1)
        return Independent(Normal(mean, log_deviation.exp()), 1)


class InverseAutoregressive(nn.Module):
    """q(z | h): that, and two inverse autoregressive layers that see h too."""

    def __init__(self):
        super().__init__()
        self.first = Gaussian()
        spec = diffeo.Spec(LATENT, context_dim=FEATURES)
        for order in "natural", "reversed":
            spec.add_autoregressive((128,), order=order, scale="gated").invert()
        self.flow = diffeo.torch.Flow(spec.build(seed=SEED))

    def forward(self, h):
        to_data = diffeo.torch.Transform(self.flow, h, cache_size=1).inv
        return TransformedDistribution(self.first(h), [to_data])


def network(inputs, outputs):
    return nn.Sequential(nn.Linear(inputs, 128), nn.ReLU(), nn.Linear(128, outputs))


class Autoencoder(nn.Module):
    def __init__(self, posterior):
        super().__init__()
        torch.manual_seed(SEED)
        self.encoder, self.decoder = network(PIXELS, FEATURES), network(LATENT, PIXELS)
        self.posterior = posterior()

    def elbo(self, x):
        """Of each row, by one sample of its posterior."""
        posterior = self.posterior(self.encoder(x / 8 - 1).relu())
        z = posterior.rsample()
        log_p = Binomial(16, logits=self.decoder(z)).log_prob(x).sum(-1) + Normal(0.0, 1.0).log_prob(z).sum(-1)
        return log_p - posterior.log_prob(z)


def fit(model, images):
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS)
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(images)).split(100):
            optimizer.zero_grad()
            (-model.elbo(images[rows]).mean()).backward()
            optimizer.step()
        schedule.step()


@torch.no_grad()
def bound(model, images, samples=200):
    """The ELBO of each image."""
    return torch.stack([model.elbo(images) for _ in range(samples)]).mean(0)


def with_error(values):
    return f"{values.mean():.2f} +- {values.std() / len(values) ** 0.5:.2f}"


if __name__ == "__main__":
    torch.set_num_threads(1)  # what is so small gains nothing by more
    diffeo.set_num_threads(1)
    torch.manual_seed(0)
    images = torch.from_numpy(load_digits().data).float()
    images = images[torch.randperm(len(images))]
    bounds = []
    for posterior in Gaussian, InverseAutoregressive:
        model = Autoencoder(posterior)
        fit(model, images[:1400])
        bounds.append(bound(model, images[1400:]))
        print(f"{posterior.__name__:22} test ELBO {with_error(bounds[-1])}", flush=True)
    print(f"the flow gains {with_error(bounds[1] - bounds[0])} nats an image")
