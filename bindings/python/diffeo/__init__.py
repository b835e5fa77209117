"""Diffeo: normalizing flows, fast and exact, with NumPy arrays in and out.

A flow is an invertible map between data x and noise z whose Jacobian determinant is known, so that it has a density,
a sampler and gradients. Quick start:

>>> rng = np.random.default_rng(0)
>>> x = rng.normal(size=(2000, 2))
>>> x[:, 1] += x[:, 0] ** 2                                       # a banana
>>> flow = diffeo.maf(dim=2, transforms=3, hidden=(32, 32))
>>> history = flow.fit(x, max_epochs=20, progress=False)
>>> flow.log_prob(x).shape                                        # nats, one number a row
(2000,)
>>> samples = flow.sample(1000, seed=1)                           # [1000, 2]
>>> z, log_det = flow.to_noise(x)                                 # and back: flow.from_noise(z)
>>> score = flow.grad_log_prob(x)                                 # d log p / dx, [2000, 2]
>>> import tempfile
>>> with tempfile.TemporaryDirectory() as folder:
...     flow.save(folder + "/banana.h5")
...     again = diffeo.load(folder + "/banana.h5")
>>> bool((again.log_prob(x) == flow.log_prob(x)).all())
True

Architectures in one call: `nice`, `realnvp`, `glow`, `made`, `maf`, `iaf`, `planar`, `radial`, `cdf_flow`,
`spline_coupling`, `spline_autoregressive`, of images `glow_image`, `realnvp_image`; layer by layer: `Spec`; from
nflows, zuko, normflows, flowjax and others: `convert`. How good they are: `diffeo.diagnostics`. Errors: `diffeo.Error`
and `diffeo.errors`; warnings: `diffeo.TrainingWarning`.
"""

from . import diagnostics, errors, exchange, targets
from ._abi import VERSION_STRING as __version__
from ._columns import Column
from ._importance import Importance, importance
from ._threads import get_num_threads, set_num_threads
from ._vjp import Gradients
from .architectures import (
    cdf_flow,
    glow,
    glow_image,
    iaf,
    made,
    maf,
    nice,
    planar,
    radial,
    realnvp,
    realnvp_image,
    spline_autoregressive,
    spline_coupling,
)
from .errors import Error, TrainingWarning
from .exchange import convert
from .flow import Flow, from_bytes, load
from .optimizer import Optimizer, OptimizerReport
from .spec import Mixture, Spec, Spline
from .table import for_table
from .train import History, Report, Trainer
from .variational import TargetHistory, TargetReport, TargetTrainer

__all__ = [
    "Column",
    "Error",
    "Flow",
    "Gradients",
    "History",
    "Importance",
    "Mixture",
    "Optimizer",
    "OptimizerReport",
    "Report",
    "Spec",
    "Spline",
    "TargetHistory",
    "TargetReport",
    "TargetTrainer",
    "Trainer",
    "TrainingWarning",
    "__version__",
    "cdf_flow",
    "convert",
    "diagnostics",
    "errors",
    "exchange",
    "for_table",
    "from_bytes",
    "get_num_threads",
    "glow",
    "glow_image",
    "iaf",
    "importance",
    "load",
    "made",
    "maf",
    "nice",
    "planar",
    "radial",
    "realnvp",
    "realnvp_image",
    "set_num_threads",
    "spline_autoregressive",
    "spline_coupling",
    "targets",
]
