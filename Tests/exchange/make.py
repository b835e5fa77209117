"""Write the fixtures: flows of other libraries, converted, and what those libraries make of them.

    python Tests/exchange/make.py [library | library-name ...]

Needs the libraries (make test-exchange installs them). Each flow of flows.py is converted in float64 and saved to
fixtures/LIBRARY-NAME.h5, with /golden: rows x, their context, and by the library itself log_prob, z and log_det, and
where noise goes, from_noise, unless the library has no inverse; log_prob_float32 is what it says in float32, if it can.
"""

import contextlib
import sys
from importlib.metadata import version
from pathlib import Path

import diffeo
import flows
import h5py
import numpy as np
from diffeo.exchange import source_of

FOLDER = Path(__file__).parent / "fixtures"
ROWS = 8
STEADY = 1e-11  # where the last bit of x moves the noise by more than this, neither side has ten digits
PACKAGES = {"pyro": "pyro-ppl", "tfp": "tfp-nightly"}


def samples(flow, rng, seed):
    """Rows and their context, of which those are left out that magnify rounding, as splines with steep bins do."""
    count = 4 * ROWS
    context = rng.normal(size=(count, flow.context_dim)) if flow.context_dim else None
    x = flow.sample(count, context, seed=seed).reshape(count, -1)
    noise, moved = flow.to_noise(x, context)[0], np.zeros(count)
    for _ in range(20):
        nudged = np.nextafter(x, np.where(rng.random(x.shape) < 0.5, -np.inf, np.inf))
        moved = np.maximum(moved, np.abs(flow.to_noise(nudged, context)[0] - noise).max(axis=1))
    kept = np.flatnonzero(moved < STEADY)[:ROWS]
    assert len(kept) == ROWS
    return x[kept], None if context is None else context[kept]


def golden(flow, source, seed):
    rng = np.random.default_rng(seed)
    x, context = samples(flow, rng, seed)
    found = {} if context is None else {"context": context}
    try:
        z, log_det = source.to_noise(x, context)
    except NotImplementedError:  # it can only sample
        z = rng.normal(size=(ROWS, flow.dim))
        x, log_det = source.from_noise(z, context)
        return found | {"x": x, "z": z, "log_det": -log_det, "log_prob": source.base_log_prob(z, context) - log_det}
    found |= {"x": x, "z": z, "log_det": log_det, "log_prob": source.log_prob(x, context)}
    with contextlib.suppress(ValueError):  # of samples that float32 has rounded beyond the support
        if source.in_float32 is not None:
            found["log_prob_float32"] = source.in_float32(x, context)
    with contextlib.suppress(NotImplementedError):
        found["from_noise"], found["from_noise_log_det"] = source.from_noise(z, context)
    return found


def main(chosen):
    """All of some libraries, whose old ones go, or some flows of them."""
    FOLDER.mkdir(exist_ok=True)
    for library in dict.fromkeys(each.partition("-")[0] for each in chosen) or [*flows.TORCH, *flows.JAX]:
        whole = not chosen or library in chosen
        for old in FOLDER.glob(f"{library}-*.h5") if whole else ():
            old.unlink()
        for seed, (name, theirs) in enumerate(flows.named(library).items()):
            if not whole and f"{library}-{name}" not in chosen:
                continue
            flow, source = diffeo.convert(theirs, dtype="float64"), source_of(theirs)
            flow.metadata["library"] = f"{library} {version(PACKAGES.get(library, library))}"
            path = FOLDER / f"{library}-{name}.h5"
            flow.save(path)
            with h5py.File(path, "r+") as file:
                for key, values in golden(flow, source, seed).items():
                    file[f"golden/{key}"] = values
            print(f"{path.name}: {flow!r}")


if __name__ == "__main__":
    main(sys.argv[1:])
