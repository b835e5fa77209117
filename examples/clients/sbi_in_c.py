"""sbi: a posterior is taken out of its object whole, written for C, and put back.

z-scores, the embedding network and the box of the prior come with it. The file, posterior.h5, is read by serve.c, whose
samples and log-densities are those that are printed here: serve LIBRARY posterior.h5 5 0.2 0.8
"""

import diffeo
import torch
from sbi.inference import NPE, DirectPosterior
from sbi.neural_nets import posterior_nn
from sbi.neural_nets.embedding_nets import FCEmbedding
from sbi.utils import BoxUniform
from sbi_posterior import NOISE, OBSERVED, SIMULATIONS, DiffeoEstimator, bend


def trained(prior):
    """A posterior of sbi's own, with a network that makes four numbers of the observation."""
    torch.manual_seed(1)
    theta = prior.sample((SIMULATIONS,))
    x = bend(theta) + NOISE * torch.randn(SIMULATIONS, 2)
    build = posterior_nn("maf", embedding_net=FCEmbedding(2, output_dim=4, num_hiddens=20))
    inference = NPE(prior, density_estimator=build, show_progress_bars=False)
    inference.append_simulations(theta, x).train(max_num_epochs=30)
    return inference.build_posterior()


def share(posterior):
    """The share of its samples inside of the prior, as sbi estimates it."""
    return posterior.leakage_correction(OBSERVED, num_rejection_samples=10_000, show_progress_bars=False).item()


if __name__ == "__main__":
    torch.set_num_threads(1)
    diffeo.set_num_threads(1)
    low, high = -torch.ones(2), torch.ones(2)
    prior = BoxUniform(low, high)
    posterior = trained(prior)

    flow = diffeo.convert(posterior.posterior_estimator)
    flow.prior_box = low, high
    flow.save("posterior.h5")

    back = DirectPosterior(DiffeoEstimator(flow), prior)

    inside = flow.truncated(OBSERVED[0], draws=100_000, seed=1)
    print(f"\ninside of the prior: sbi {share(posterior):.4f}, diffeo {inside.acceptance:.4f}, back {share(back):.4f}")
    theta = inside.sample(5, seed=1)
    columns = [
        theta,
        posterior.log_prob(torch.from_numpy(theta), OBSERVED, norm_posterior=False),
        flow.log_prob(theta, OBSERVED[0]),
        back.log_prob(torch.from_numpy(theta), OBSERVED, norm_posterior=False),
    ]
    print("theta                        log p: sbi        diffeo          back")
    for row in torch.column_stack([torch.as_tensor(column) for column in columns]).tolist():
        print("".join(f"{number:14.6f}" for number in row))
