"""Rows with weights: what an event generator, an importance sampler or a survey gives.

The rows come from a proposal, their weights make them rows of the target; the flow learns the target.
"""

import diffeo
import numpy as np

rng = np.random.default_rng(0)
proposal = rng.normal(0.0, 2.0, size=(20_000, 2))


def log_target(x):
    """Two columns, the second about the square of the first: a banana, up to a constant."""
    return -0.5 * x[:, 0] ** 2 - 0.5 * ((x[:, 1] - 0.5 * x[:, 0] ** 2) / 0.5) ** 2


log_weights = log_target(proposal) + 0.5 * (proposal**2).sum(axis=1) / 4.0
weights = np.exp(log_weights - log_weights.max())  # only ratios matter

flow = diffeo.maf(dim=2, hidden=(64, 64))
history = flow.fit(proposal, weights=weights, max_epochs=30, lr=3e-3, schedule="cosine", progress=False)
print(history)
rows = diffeo.diagnostics.effective_sample_size(log_weights)
print(f"{len(proposal)} rows count as {rows:.0f}")

x = flow.sample(100_000, seed=1)
print(f"mean of the second column {x[:, 1].mean():.3f}, that of the target 0.5")
print(f"deviation of the first    {x[:, 0].std():.3f}, that of the target 1")
