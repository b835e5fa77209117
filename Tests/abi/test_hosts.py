"""Hosts that bring an HDF5 of their own, in any order and scope."""

import os
from importlib.metadata import PackageNotFoundError, files

import pytest
from support import run


def bundled(package):
    """The HDF5 inside a wheel of PyPI."""
    try:
        found = [path for path in files(package) or [] if path.match("*.libs/libhdf5-*.so*")]
    except PackageNotFoundError:
        found = []
    return str(found[0].locate()) if found else None


# The system's is the very file that the library opens, too.
HDF5 = {"h5py": bundled("h5py"), "netCDF4": bundled("netCDF4"), "system": "libhdf5_serial.so.103"}


@pytest.fixture(params=HDF5)
def hdf5(request):
    path = HDF5[request.param]
    if path is None:
        pytest.skip(f"{request.param} is not installed, or not from a wheel")
    return path


@pytest.mark.parametrize("scope", ["local", "global"])
@pytest.mark.parametrize("order", ["first", "last"])
def test_another_hdf5(order, scope, hdf5, program, tmp_path):
    run(program("other_hdf5"), hdf5, tmp_path, order, scope)


def test_another_hdf5_is_linked_before_all(hdf5, program, tmp_path):
    run(program("other_hdf5"), hdf5, tmp_path, "first", "global", env=os.environ | {"LD_PRELOAD": hdf5})


@pytest.mark.parametrize("order", [1, -1])
def test_a_program_is_linked_with_both(order, hdf5, library, program, tmp_path):
    """In either order, which is that of the search for symbols."""
    both = ":".join([str(library), hdf5][::order])
    run(program("other_hdf5"), hdf5, tmp_path, "first", "global", env=os.environ | {"LD_PRELOAD": both})
