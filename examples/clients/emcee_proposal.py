"""emcee: a Diffeo flow as the proposal of an independence Metropolis-Hastings move, beside emcee's own stretch move.

A short run of the stretch move gives the samples that the flow is trained on. What the flow has not learned, the move
corrects; one step in five is still a stretch, for walkers in tails where the flow seldom proposes anything. The target
is a twisted Gaussian in four dimensions, whose moments are known.
"""

import sys
import time

import diffeo
import emcee
import numpy as np

STEPS = int(sys.argv[1]) if len(sys.argv) > 1 else 4000
WALKERS, DIM = 32, 4


class FlowMove(emcee.moves.MHMove):
    """Proposes samples of a flow, wherever the walkers are: emcee wants them and log q(old) - log q(new)."""

    def __init__(self, flow):
        super().__init__(self.proposed, ndim=flow.dim)
        self.flow = flow

    def proposed(self, old, random):
        new, log_q = self.flow.sample_and_log_prob(len(old), seed=random.randint(2**31))
        return new, self.flow.log_prob(old) - log_q


def log_target(x):
    """x0 and all others but x1 are standard normal, x1 is x0 squared and a half of noise."""
    z = x.copy()
    z[:, 1] = (z[:, 1] - z[:, 0] ** 2 + 1) / 0.5
    return -0.5 * (z**2).sum(1)


def run(moves, start, steps):
    """A chain, [steps, walkers, dim], with the same random numbers for all moves."""
    np.random.seed(1)  # emcee takes its generator from here
    sampler = emcee.EnsembleSampler(WALKERS, DIM, log_target, moves=moves, vectorize=True)
    sampler.run_mcmc(start, steps)
    return sampler


if __name__ == "__main__":
    diffeo.set_num_threads(1)
    first = run(None, np.random.default_rng(1).normal(size=(WALKERS, DIM)), STEPS // 2)
    samples = first.get_chain(discard=STEPS // 10, thin=5, flat=True)
    start = time.process_time()  # of the processor
    flow = diffeo.maf(DIM, dtype="float64", seed=1)
    flow.fit(samples, seed=1, batch_size=128, lr=2e-3, max_epochs=20, progress=False)
    print(f"trained in {time.process_time() - start:.1f} s")
    print("move    seconds   accepted   autocorrelation time   mean of x1   deviation")
    for name, moves in ("emcee", None), ("diffeo", [(FlowMove(flow), 0.8), (emcee.moves.StretchMove(), 0.2)]):
        start = time.process_time()
        sampler = run(moves, first.get_last_sample(), STEPS)
        seconds = time.process_time() - start
        time_of = sampler.get_autocorr_time(tol=0).max()
        x1 = sampler.get_chain(flat=True)[:, 1]
        accepted = sampler.acceptance_fraction.mean()
        print(f"{name:8}{seconds:7.1f}{accepted:11.2f}{time_of:23.1f}{x1.mean():13.2f}{x1.std():12.2f}")
    print(f"{'truth':8}{0:54.2f}{1.5:12.2f}")
