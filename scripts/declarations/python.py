"""Python's structs, enumerators and signatures."""

import re
from itertools import takewhile

from .header import Alias, Enum, Header

# Python's names for enums: the plural of what their enumerators begin with, else these.
ENUM_NAMES = {"DIFFEO_OK": "STATUSES", "DIFFEO_F32": "DTYPES", "DIFFEO_RELU": "ACTIVATIONS"}
PREFIX_NAMES = {"CONTEXT": "CONTEXT_MODES", "MADE": "CONDITIONALS", "TRAIN": "STATES"}


def enum_table(enum: Enum) -> tuple[str, dict[str, int]]:
    """Name and words: ('ORDERS', {'natural': 1, ...})."""
    names = [each.name for each in enum.values]
    prefix = "DIFFEO_"
    if names[0] in ENUM_NAMES:
        table = ENUM_NAMES[names[0]]
    else:
        words = [name.split("_")[1:-1] for name in names]  # all but the last: what they have in common
        stem = "_".join(each[0] for each in takewhile(lambda each: len(set(each)) == 1, zip(*words, strict=False)))
        prefix += stem + "_"
        table = PREFIX_NAMES.get(stem) or re.sub("Y$", "IE", re.sub("S$", "", stem)) + "S"
    if not all(name.startswith(prefix) for name in names):
        raise SystemExit(f"not all enumerators beside {names[0]} begin with {prefix}")
    return table, {each.name.removeprefix(prefix).lower(): each.number for each in enum.values}


C_TYPES = {
    "int": "c_int",
    "int32_t": "c_int32",
    "int64_t": "c_int64",
    "uint64_t": "c_uint64",
    "size_t": "c_size_t",
    "double": "c_double",
    "void": "None",
    "char *": "c_char_p",
    "void *": "c_void_p",
    "size_t *": "POINTER(c_size_t)",
    "float *": "Float32s",
    "double *": "Float64s",
    "int64_t *": "Int64s",
    "uint8_t *": "UInt8s",
}
FIELD_TYPES = {"int64_t *": "POINTER(c_int64)", "uint8_t *": "POINTER(c_uint8)"}


def camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.removeprefix("diffeo_").split("_"))


def python(header: Header) -> str:
    kinds = {f"{each.name} *": f"POINTER({camel(each.name)})" for each in header.structs}
    for handle in header.handles:
        name = camel(handle.name)
        kinds |= {f"{handle.name} *": name, f"{handle.name} **": f"POINTER({name})"}
    kinds |= {each.name: camel(each.name) for each in header.all(Alias)}
    kinds |= C_TYPES

    def c_type(text: str) -> str:
        return kinds[text.removeprefix("const ")]

    def field_type(text: str) -> str:
        return FIELD_TYPES.get(text.removeprefix("const ")) or c_type(text)

    lines = [
        '"""What include/diffeo.h declares: written by scripts/generate-interface, never by hand."""',
        "# fmt: off",
        "# ruff: noqa: E501, I001",
        "",
        "from __future__ import annotations",
        "",
        "from ctypes import (",
        "    CFUNCTYPE, POINTER, Structure,",
        "    c_char_p, c_double, c_int, c_int32, c_int64, c_size_t, c_uint8, c_uint64, c_void_p,",
        ")",
        "from typing import Any",
        "",
        "from ._ctypes import Float32s, Float64s, Int64s, Status, UInt8s",
        "",
        f"VERSION_NUMBER = {header.macros['VERSION_NUMBER']}",
        f"VERSION_STRING = {header.macros['VERSION_STRING']}",
        f'SONAME = "{header.soname}"',
        "",
        "# Enumerators, by the words for them.",
    ]
    for enum in header.enums:
        name, table = enum_table(enum)
        entries = ", ".join(f'"{word}": {number}' for word, number in table.items())
        lines.append(f"{name} = {{{entries}}}")
    lines += ["", "", "# Handles: structs that are never defined, as in C. Pointers to each have a type of their own."]
    for handle in header.handles:
        name = camel(handle.name)
        lines += ["", "", f"class {name}Struct(Structure):", "    pass", "", "", f"{name} = POINTER({name}Struct)"]
    for struct in header.structs:
        lines += ["", "", f"class {camel(struct.name)}(Structure):", "    _fields_ = ["]
        lines += [f'        ("{each.name}", {field_type(each.type)}),' for each in struct.fields]
        lines.append("    ]")
    lines += ["", "", "STRUCTS: dict[str, type[Structure]] = {"]
    lines += [f'    "{each.name}": {camel(each.name)},' for each in header.structs]
    lines += ["}", ""]
    for each in header.all(Alias):
        if each.arguments is not None:
            types = ", ".join(c_type(kind) for kind in (each.type, *(argument.type for argument in each.arguments)))
            lines.append(f"{camel(each.name)} = CFUNCTYPE({types})")
    lines += [
        "",
        "# name: (result, *arguments), in the order of the header",
        "SIGNATURES: dict[str, tuple[Any, ...]] = {",
    ]
    for each in header.functions:
        types = [c_type(each.result), *(c_type(argument.type) for argument in each.arguments)]
        lines.append(f'    "{each.name}": ({", ".join(types)}{"," if len(types) == 1 else ""}),')
    return "\n".join([*lines, "}"]) + "\n"
