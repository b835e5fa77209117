"""Training on several ranks of MPI: the weights of one process, and what is left when a rank is killed."""

import os
import re
import signal
import subprocess

import diffeo
import pytest
from support import INCLUDE, PROJECT, SONAME, WARNINGS, needs, run

pytestmark = needs("mpicc", "mpirun")


@pytest.fixture(scope="module")
def start(library, tmp_path_factory):
    """Starts the example on so many ranks of this machine, with its arguments."""
    folder = tmp_path_factory.mktemp("mpi")
    (folder / SONAME).symlink_to(library)
    program = folder / "mpi_training"
    flags = ["-std=c99", *(w for w in WARNINGS if w != "-pedantic"), *INCLUDE]
    run("mpicc", *flags, "-O1", PROJECT / "examples/mpi_training.c", library, "-lm", "-o", program, cwd=folder)
    environment = os.environ | {
        "LD_LIBRARY_PATH": str(folder),
        "OMPI_ALLOW_RUN_AS_ROOT": "1",
        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
        "OMPI_MCA_rmaps_base_oversubscribe": "1",
        "OMPI_MCA_mpi_yield_when_idle": "1",
    }

    def started(ranks, *arguments):
        command = ["mpirun", "-n", ranks, program, *arguments]
        return subprocess.Popen(
            [str(c) for c in command], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    return started


@pytest.fixture(scope="module")
def trained(start, tmp_path_factory):
    """The weights after a training on so many ranks."""
    folder = tmp_path_factory.mktemp("trained")

    def weights(ranks, *arguments):
        path = folder / "-".join([f"{ranks}", *arguments, "flow.h5"])
        if not path.exists():
            finish(start(ranks, path, *arguments))
        return diffeo.load(path).parameters()

    return weights


def finish(process):
    printed = process.communicate(timeout=300)[0]
    assert process.returncode == 0, printed
    return printed


@pytest.mark.parametrize("ranks", [2, 4])
def test_ranks_train_as_one_process_does(trained, ranks):
    assert (trained(ranks, "exact") == trained(1, "exact")).all()
    # The sums of float32 numbers in float64 may have another order: it hardly ever shows.
    assert trained(ranks) == pytest.approx(trained(1), abs=1e-5)
    assert trained(1) == pytest.approx(trained(1, "exact"), abs=0)


def test_it_learns(start, tmp_path):
    values = [float(v) for v in re.findall(r": (\S+) nats", finish(start(2, tmp_path / "flow.h5")))]
    assert values[0] < values[-1]
    assert values[-1] > -1.25


def test_a_killed_rank_ends_the_run_which_goes_on_from_its_checkpoint(start, trained, tmp_path):
    path = tmp_path / "flow.h5"
    process = start(4, path, "exact")
    for line in process.stdout:
        if line.startswith("step  80"):
            break
    ranks = subprocess.run(
        ["pgrep", "-P", str(process.pid)], stdout=subprocess.PIPE, text=True, check=True
    ).stdout.split()
    assert len(ranks) == 4
    os.kill(int(ranks[2]), signal.SIGKILL)
    process.communicate(timeout=60)
    assert process.returncode != 0
    printed = finish(start(2, path, "exact"))
    begun = int(re.search(r"begins after (\d+) steps", printed)[1])
    assert begun >= 80
    assert begun % 20 == 0
    assert (diffeo.load(path).parameters() == trained(1, "exact")).all()
