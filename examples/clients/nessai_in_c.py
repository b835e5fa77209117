"""nessai: the flow of a run is taken out of its FlowModel whole, written for C, and put back.

What nessai standardises parameters by before its flow goes along, so that the file, proposal.h5, is of the parameters
themselves. It is read by serve.c, whose samples and log-densities are those that are printed here:
serve LIBRARY proposal.h5 5
"""

import logging
import tempfile

import diffeo
import numpy as np
from nessai.flows.base import NFlow
from nessai.flows.distributions import MultivariateNormal
from nessai.flowsampler import FlowSampler
from nessai.livepoint import live_points_to_array, numpy_array_to_live_points
from nessai_flow import DIM, LIVE_POINTS, DiffeoTransform, Twisted


def ran(folder):
    """The proposal of a run, which has the FlowModel and what goes before it."""
    sampler = FlowSampler(
        Twisted(), output=folder, nlive=LIVE_POINTS, seed=1, resume=False, plot=False, flow_config={"n_neurons": 16}
    )
    sampler.run(plot=False, save=False)
    return sampler.ns.proposal


def points(proposal, x):
    return numpy_array_to_live_points(x.astype(np.float64), proposal.model.names)


def standardized(proposal):
    """Means and deviations that nessai's default goes by, x' = (x - mean) / deviation, from two points."""
    scaled, _ = proposal.rescale(points(proposal, np.stack([np.zeros(DIM), np.ones(DIM)])))
    zero, one = live_points_to_array(scaled, proposal.prime_parameters)
    return -zero / (one - zero), 1 / (one - zero)


def log_prob(proposal, x):
    """Of the parameters themselves, as nessai has it."""
    return proposal.forward_pass(points(proposal, x))[1]


if __name__ == "__main__":
    logging.getLogger("nessai").setLevel(logging.ERROR)
    diffeo.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        proposal = ran(folder)
        flow = diffeo.convert(proposal.flow, before=[diffeo.Spec(DIM).add_standardize(*standardized(proposal))])
        flow.save("proposal.h5")
        x = flow.sample(5, seed=1)
        theirs = log_prob(proposal, x)

        back = NFlow(DiffeoTransform(diffeo.convert(proposal.flow)), MultivariateNormal([DIM]))
        back.to(proposal.flow.device)
        proposal.flow.model = back
        print(f"{'x':{14 * DIM - 6}}log p: nessai        diffeo          back")
        for row in np.column_stack([x, theirs, flow.log_prob(x), log_prob(proposal, x)]):
            print("".join(f"{number:14.6f}" for number in row))
