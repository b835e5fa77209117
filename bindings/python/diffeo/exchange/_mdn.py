"""Mixture density networks of sbi: a mixture of normal distributions with full covariances, all from the condition."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from ._check import Source, Step, both_ways, contexts, samples, standardized
from ._embedding import embedding
from ._error import ConversionError
from ._layers import Layer
from ._network import Dense, Real
from ._torch import array, copied, double, in_double, in_float32, linear, narrowed, read, tensor
from ._transforms import TABLE as FIXED
from .nflows import embedded

HEADS = "_logits_layer", "_means_layer", "_unconstrained_diagonal_layer", "_upper_layer"


def _mixture(net: Any, path: str) -> Layer:
    """Of precisions U^T U, the diagonal of U being a softplus, by what the network makes of the condition."""
    heads = [linear(part) for name in HEADS if (part := getattr(net, name)) is not None]
    stacked = Dense.of(*(np.concatenate([getattr(each, name) for each in heads]) for name in ("weight", "bias")))
    _, hidden = embedding(net._hidden_net, net.context_features, lambda part, where: None, f"{path}._hidden_net")
    last = hidden.dense[-1]
    network = hidden.with_last(
        lambda _: Dense.of(stacked.weight @ last.weight, stacked.weight @ last.bias + stacked.bias)
    )
    words = {"components": net.num_components, "covariance": "precision", "diagonal": "softplus"}
    return Layer("mixture", words, network=replace(network, context=network.inputs))


def _steps(holder: Any) -> list[Step]:
    """Its z-score, or its map from where the prior is to the line."""
    if holder._prior_transform is not None:
        return read(FIXED, holder._prior_transform, "_prior_transform")
    if not holder.has_input_transform:
        return []
    z_score = (array(each).ravel() for each in (holder._transform_shift, holder._transform_scale))
    return [standardized("_transform_shift", *(np.broadcast_to(each, holder.net.features) for each in z_score))]


def _uncounted(holder: Any) -> float:
    """What sbi leaves out of the log-determinant: a z-score that has one number for all columns it counts once."""
    if holder._prior_transform is not None or not holder.has_input_transform:
        return 0.0
    scale = array(holder._transform_scale).ravel()
    return float(np.log(scale[0])) * (holder.net.features - 1) if len(scale) == 1 else 0.0


def _without_epsilon(holder: Any) -> Any:
    made = copied(holder)
    made.net._epsilon = 0.0
    return made


def _unlike(made: Source, own: Callable[[Real, Real | None], Real], epsilon: float) -> str:
    """By how much its log_prob is lower for its epsilon, on samples."""
    flow = made.flow("float64")
    context = contexts(flow, made.contexts)
    x = samples(flow, context)
    lower = float(np.nanmax(made.log_prob(x, context) - own(x, context)))
    return (
        f"sbi adds {epsilon:g} to the precisions and not to their determinants: its log_prob is no normalised density, "
        f"and lower by up to {lower:.1e} on samples. Here it is that of what sbi samples"
    )


def source(holder: Any, read_flow: Callable[[Any], Source]) -> Source:
    """What a MixtureDensityEstimator is: the density of what it samples.

    It adds an epsilon to the precisions, but not to their determinants, and counts a z-score of one number for all
    columns once: its own log_prob is that of no distribution.
    """
    original, (holder, dtype) = holder, in_double(holder)
    if tuple(holder.input_shape) != (holder.net.features,):
        raise ConversionError("", holder, f"its shape is {tuple(holder.input_shape)}, not that of a vector")
    steps = _steps(holder)
    given = embedded(holder.embedding_net, steps, _mixture(holder.net, "net"), "_embedding_net")
    uncounted = _uncounted(holder)

    def density(module: Any) -> Callable[[Real, Real | None], Real]:
        def run(x: Real, context: Real | None) -> Real:
            with double():
                return array(module.log_prob(tensor(x), tensor(context))) - uncounted

        return run

    def base_log_prob(z: Real, context: Real | None) -> Real:
        with double():
            return array(exact.net.log_prob(tensor(z), exact.embedding_net(tensor(context))))

    own, exact = density(holder), _without_epsilon(holder)
    made = Source(
        "sbi", type(holder).__qualname__, holder.net.features, given.steps, given.base, density(exact), base_log_prob,
        *both_ways(given.steps), dtype, context_layer=given.context_layer, embedding=given.embedding,
        contexts=given.contexts, in_float32=in_float32(lambda: _without_epsilon(narrowed(original)()), density),
    )  # fmt: skip
    if epsilon := float(original.net._epsilon):
        made.by_hand = (_unlike(made, own, epsilon),)
    if uncounted:
        made.by_hand += (
            f"sbi counts its z-score of one number for {holder.net.features} columns once: its log_prob is no "
            f"normalised density, and larger by {uncounted:.3g}",
        )
    return made
