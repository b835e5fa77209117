"""Write the table of docs/exchange.md: every named flow, converted, with the errors that its conversion found.

    python Tests/exchange/table.py [library ...]

Needs the libraries, as make.py does; rows of those that are not named, or not installed, stay as they are. A row is a
package: what of it converts, and the largest errors of log_prob in float64, in float32, and of the package itself in
float32. What is refused has the reason. At the end of the document are the lines of code of each converter.
"""

import importlib
import re
import sys
import textwrap
import warnings
from importlib.metadata import version
from pathlib import Path

import diffeo
import flows
from diffeo.exchange import ConversionError

DOCUMENT = Path(__file__).parents[2] / "docs" / "exchange.md"
COLUMNS = ("Package", "Flow", "Version", "Converts", "float64", "float32", "its own float32", "By hand")
HEAD = f"| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|\n"
BEGIN, END = "<!-- Tests/exchange/table.py writes this -->\n", "<!-- to here -->\n"
LINES, LINES_END = "<!-- table.py: lines of code -->\n", "<!-- lines end -->\n"
BACK = ("_equinox", "_export", "_formulas", "_graph", "_modules", "_nets")  # of the exporters, and _to_ them
PACKAGES = {"pyro": "pyro-ppl", "tfp": "tfp-nightly"}
MODULES = {"tfp": "tensorflow_probability"}


def refused(library):
    """Flows that do not convert, by name."""
    if library == "zuko":
        import zuko

        names = ("NAF", "UNAF", "BPF", "SOSPF", "GF", "CNF")
        return {name: lambda name=name: getattr(zuko.flows, name)(3) for name in names}
    if library == "bayesflow":
        return {
            "spline": lambda: bayesflow(transform="spline"),
            "base student_t": lambda: bayesflow(base_distribution="student_t"),
        }
    return {}


def bayesflow(**more):
    import bayesflow

    flow = bayesflow.networks.CouplingFlow(**more)
    flow.build((None, 3), None)
    return flow


def number(values):
    known = [each for each in values if each is not None]
    return f"{max(known):.0e}" if known else ""


def converted(theirs, dtype):
    try:
        return diffeo.exchange.report(diffeo.convert(theirs, dtype=dtype))
    except ConversionError:
        return None


def rows(library):
    """Those of a package."""
    name, release = PACKAGES.get(library, library), version(PACKAGES.get(library, library))
    whole, part, wide_only, found = [], [], [], []
    for flow, theirs in flows.named(library).items():
        wide, narrow = converted(theirs, "float64"), converted(theirs, "float32")
        assert wide is not None, (library, flow)
        (part if wide.by_hand else whole).append(flow)
        wide_only += [] if narrow else [flow]
        found.append((wide, narrow))
        print(library, flow, wide.float64, narrow and (narrow.float32, narrow.source_float32), flush=True)
    hand = "; ".join(dict.fromkeys(each for wide, _ in found for each in wide.by_hand))
    if wide_only:
        hand = "; ".join(filter(None, (hand, f"float64 only: {', '.join(wide_only)}")))
    errors = [
        number([wide.float64 for wide, _ in found]),
        number([narrow.float32 for _, narrow in found if narrow]),
        number([narrow.source_float32 for _, narrow in found if narrow]),
    ]
    made = []
    for names, word in ((whole, "whole"), (part, "in part")):
        if names:
            made.append(f"| {name} | {', '.join(names)} | {release} | {word} | {' | '.join(errors)} | {hand} |\n")
    for flow, build in refused(library).items():
        try:
            diffeo.convert(build())
            reason = "converts: take it from this list"
        except ConversionError as error:
            reason = error.reason
        made.append(f"| {name} | {flow} | {release} | refused: {reason} | | | | |\n")
    return made


def lines():
    """A sentence: of each converter, of what they share, and of the way back."""
    found = {
        path.stem: len(path.read_text().splitlines()) for path in Path(diffeo.exchange.__file__).parent.glob("*.py")
    }
    own = sorted(name for name in found if not name.startswith("_"))
    back = sum(count for name, count in found.items() if name in BACK or name.startswith("_to_"))
    shared = sum(found.values()) - back - sum(found[name] for name in own)
    each = ", ".join(f"{name} {found[name]}" for name in own)
    return textwrap.fill(f"Lines of code: {each}; what they share {shared}; the way back {back}.", 120) + "\n"


def main(libraries):
    text = DOCUMENT.read_text()
    before, rest = text.split(BEGIN)
    table, after = rest.split(END)
    for library in libraries or [*flows.TORCH, *flows.JAX]:
        try:
            importlib.import_module(MODULES.get(library, library))
        except ImportError:
            continue
        own = re.escape(f"| {PACKAGES.get(library, library)} |")
        table = re.sub(rf"^{own}.*\n", "", table, flags=re.MULTILINE) + "".join(rows(library))
    text = before + BEGIN + HEAD + table.removeprefix(HEAD) + END + after
    before, rest = text.split(LINES)
    DOCUMENT.write_text(before + LINES + lines() + LINES_END + rest.split(LINES_END)[1])


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(sys.argv[1:])
