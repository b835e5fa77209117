"""Symbols, the description of the ABI, the loader's table, the version and the SONAME where they stand."""

import re
from collections.abc import Callable

from .header import PROJECT, WIDTH, Alias, Header, Struct


def symbols(header: Header) -> str:
    return "".join(f"{name}\n" for name in sorted(f.name for f in header.functions))


SIZES = {"int32_t": 4, "int64_t": 8, "uint64_t": 8, "size_t": 8, "double": 8}


def layout(struct: Struct) -> tuple[list[tuple[int, int]], int]:
    """Offset and size of each field, and the size of all: where long and pointers have 64 bits."""
    places, end = [], 0
    for each in struct.fields:
        size = 8 if each.type.endswith("*") else SIZES[each.type]
        offset = -(-end // size) * size
        places.append((offset, size))
        end = offset + size
    return places, -(-end // 8) * 8


def description(header: Header) -> str:
    """A line for each thing that a compiled program relies on: adding lines is all that may happen to it."""
    lines = [f"soname {header.soname}"]
    for enum in header.enums:
        lines += ["", *(f"enumerator {each.name} {each.number}" for each in enum.values)]
    for struct in header.structs:
        lines.append("")
        for each, (offset, size) in zip(struct.fields, layout(struct)[0], strict=True):
            lines.append(f"field {struct.name}.{each.name} offset {offset} size {size} type {each.type}")
    lines += ["", *(f"handle {each.name}" for each in header.handles)]
    for each in header.all(Alias):
        arguments = "" if each.arguments is None else f" ({', '.join(argument.type for argument in each.arguments)})"
        lines.append(f"type {each.name} {each.type}{arguments}")
    lines.append("")
    for each in sorted(header.functions, key=lambda f: f.name):
        arguments = ", ".join(argument.type for argument in each.arguments) or "void"
        lines.append(f"function {each.result} {each.name}({arguments})".replace("* ", "*"))
    return "\n".join(lines) + "\n"


LOADER = "bindings/c/diffeo_loader.h"
LOADER_TABLE = re.compile(r"(?<=#define DIFFEO_FUNCTIONS\(X\) \\\n).*?(?=\n\n)", re.S)


def version_script(header: Header) -> str:
    return f"{header.soname.replace('libdiffeo.so.', 'DIFFEO_')} {{ global: diffeo_*; local: *; }};\n"


def core_version(header: Header) -> str:
    return (
        "/// DIFFEO_VERSION_STRING of the header, from which scripts/generate-interface writes it.\n"
        f"package let diffeoVersion: StaticString = {header.macros['VERSION_STRING']}\n"
    )


def linked(name: str) -> Callable[[Header], str]:
    """A file that is written by hand but for the SONAME in it."""
    return lambda header: re.sub(r"libdiffeo\.so\.[0-9.]*[0-9]", header.soname, (PROJECT / name).read_text())


def versioned(name: str) -> Callable[[Header], str]:
    """The description of a package, which is written by hand but for the version."""
    place = re.compile(r"^(version\W+)[0-9.]+(?=\W*$)", re.M | re.I)
    return lambda header: place.sub(
        lambda match: match[1] + header.macros["VERSION_STRING"].strip('"'), (PROJECT / name).read_text(), count=1
    )


def loader(header: Header) -> str:
    """The loader with its table written anew."""
    lines = [" "]
    for each in header.functions:
        entry = f" X({each.name.removeprefix('diffeo_')})"
        if len(lines[-1]) + len(entry) > WIDTH - 2:
            lines.append(" ")
        lines[-1] += entry
    return LOADER_TABLE.sub(lambda _: " \\\n".join(lines), linked(LOADER)(header), count=1)
