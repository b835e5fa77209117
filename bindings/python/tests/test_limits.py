"""Ranges of options are said once, in the library: what the header and the docstrings say of them is the same."""

import inspect
import math
import re
import runpy
from pathlib import Path

import diffeo
import numpy as np
import pytest
from diffeo import _abi, errors

PROJECT = Path(__file__).resolve().parents[3]
HEADER = PROJECT / "include/diffeo.h"

N = r"(-?\d+(?:\.\d+)?(?:e-?\d+)?)"
RANGE = re.compile(rf"[Aa]bove {N}, at most {N}|{N} or more, below {N}|{N} or more|{N} to {N}|[Aa]bove {N}")


def stated(text):
    """The least and the greatest number that a text allows, as diffeo_option_bounds has them, or None."""
    if not (match := RANGE.search(text)):
        return None
    a, b, c, d, e, f, g, h = (None if part is None else float(part) for part in match.groups())
    if a is not None:
        return np.nextafter(a, math.inf), b
    if c is not None:
        return c, np.nextafter(d, -math.inf)
    if e is not None:
        return e, math.inf
    return (f, g) if f is not None else (np.nextafter(h, math.inf), math.inf)


def bounds(option):
    try:
        return _abi.bounds(option)
    except errors.InvalidArgumentError:
        return None


def test_ranges_as_they_are_written():
    assert stated("of Adam, above 0: 1e-8") == (5e-324, math.inf)
    assert stated("above 0, at most 80: 3") == (5e-324, 80)
    assert stated("0 or more, below 1: 0.9") == (0, 1 - 2**-53)
    assert stated("-1e6 to 1e6: -4, 4") == (-1e6, 1e6)
    assert stated("0. 1: with preactivation, two of 128") is None


def test_an_unknown_option_has_none():
    with pytest.raises(errors.InvalidArgumentError, match=r"no option 'spline\.knots'"):
        _abi.bounds("spline.knots")


def test_messages_have_the_range():
    for value in 1, 65:
        with pytest.raises(ValueError, match=f"bins is {value}, it must be 2 to 64"):
            diffeo.Spec(2).add_autoregressive(transformer=diffeo.Spline(bins=value))
    with pytest.raises(ValueError, match=r"scale_epsilon is 1\.0, it must be 0 or more, below 1"):
        diffeo.Spec(2).add_coupling(scale_epsilon=1)
    with pytest.raises(ValueError, match=r"logit_bound is 11\.0, it must be 0\.001 to 10, or 0 for none"):
        diffeo.Spec(2).add_coupling(transformer=diffeo.Spline(logit_bound=11))


@pytest.mark.skipif(not HEADER.is_file(), reason="not in a source checkout")
def test_the_header_states_them():
    script = runpy.run_path(str(PROJECT / "scripts/generate-interface"), run_name="interface")
    interface = {name: getattr(script["header"], name) for name in ("Comment", "Enum", "Function", "Header")}
    header = interface["Header"](HEADER.read_text())
    found = set()

    def compare(option, text):
        known = bounds(option)
        assert stated(text) == known, f"{option}: {text}"
        if known:
            found.add(option)

    for struct in header.structs:
        if struct.name.endswith("_options"):
            for field in struct.fields:
                name = struct.name.removeprefix("diffeo_").removesuffix("_options")
                compare(f"{name}.{field.name}", field.comment)
    for section in header.sections:
        text = ""
        for item in section.items:
            if isinstance(item, interface["Comment"]):
                text = item.text
            if isinstance(item, interface["Function"]):
                name = re.fullmatch(r"diffeo_(?:spec_add_|flow_)?(\w+?)(?:_create)?(?:_f32|_f64)?", item.name)[1]
                for argument in item.arguments:
                    said = re.search(rf"\b{argument.name}: (.*)", text)
                    if "*" not in argument.type:
                        compare(f"{name}.{argument.name}", said[1] if said else "")
            if isinstance(item, interface["Enum"]):
                for comment in item.members:
                    if isinstance(comment, interface["Comment"]) and "constant" in comment.text:
                        compare("domain.constant", comment.text)
    source = (PROJECT / "Sources/Diffeo/Limits.swift").read_text()
    assert found == set(re.findall(r'^    "(\w+\.\w+)": ', source, re.MULTILINE))


IMAGES = "glow_image realnvp_image"
ARCHITECTURES = "nice realnvp glow made maf iaf planar radial cdf_flow spline_coupling spline_autoregressive"


@pytest.mark.parametrize(
    ("documented", "options"),
    [
        (diffeo.Spline, "spline"),
        (diffeo.Mixture, "mixture"),
        (diffeo.Spec, "spec"),
        (diffeo.Spec.add_autoregressive, "autoregressive network map"),
        (diffeo.Spec.add_batch_norm, "batch_norm"),
        (diffeo.Spec.add_dequantize, "dequantize"),
        (diffeo.Spec.set_base, "base"),
        (diffeo.Spec.set_base_made, "made network"),
        *((getattr(diffeo, name), "architecture network") for name in ARCHITECTURES.split()),
        *((getattr(diffeo, name), "image network") for name in IMAGES.split()),
    ],
)
def test_docstrings_state_them(documented, options):
    """Where one gives a range, it is that of the library, perhaps without a 0 that is its default; each gives one."""
    parameters = inspect.getdoc(documented).split("Parameters\n----------\n")[1].split("\n\n")[0]
    compared = 0
    for names, kind, text in re.findall(r"^([\w, ]+)((?: : .*)?)\n((?: {4}.*\n?)*)", parameters, re.MULTILINE):
        if said := stated(text) or stated(kind):
            for name in names.split(", "):
                known = [limits for each in options.split() if (limits := bounds(f"{each}.{name}"))]
                known += [(max(low, 1), high) for low, high in known if said[0] == 1]
                assert said in known or name == "seed", f"{name}: {text}"
                compared += 1
    assert compared >= 1
