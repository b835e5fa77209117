"""The table in diffeo/_abi.py against include/diffeo.h: names, arguments, structs, constants."""

import ctypes
import re
import shutil
import subprocess
from ctypes import POINTER
from pathlib import Path

import diffeo
import pytest
from diffeo import _abi, errors

HEADER = Path(__file__).resolve().parents[3] / "include" / "diffeo.h"
pytestmark = pytest.mark.skipif(not HEADER.is_file(), reason="not in a source checkout")

VALUES = {
    "int": ctypes.c_int,
    "int32_t": ctypes.c_int32,
    "int64_t": ctypes.c_int64,
    "uint64_t": ctypes.c_uint64,
    "size_t": ctypes.c_size_t,
    "double": ctypes.c_double,
    "diffeo_status": _abi.Status,
    "diffeo_progress": _abi.Progress,
    "void": None,
}
NAMED = {
    "diffeo_workspace": _abi.WorkspaceStruct,
    "diffeo_spec": _abi.SpecStruct,
    "diffeo_flow": _abi.FlowStruct,
    "diffeo_trainer": _abi.TrainerStruct,
    **_abi.STRUCTS,
}
POINTERS = {
    "char": ctypes.c_char_p,
    "void": ctypes.c_void_p,
    "size_t": POINTER(ctypes.c_size_t),
    **{name: POINTER(struct) for name, struct in NAMED.items()},
}
BUFFERS = {"float": _abi.Float32s, "double": _abi.Float64s, "int64_t": _abi.Int64s}
FIELDS = {"int64_t": POINTER(ctypes.c_int64), "uint8_t": POINTER(ctypes.c_uint8)}


@pytest.fixture(scope="module")
def code():
    """The header without comments and preprocessor lines."""
    text = re.sub(r"/\*.*?\*/", " ", HEADER.read_text(), flags=re.DOTALL)
    return re.sub(r"^\s*#.*$", "", text, flags=re.MULTILINE)


def split(declaration):
    """'const float *x' -> ('float', 1, 'x')."""
    match = re.fullmatch(r"(?:const\s+)?(\w+)\s*(\**)\s*(\w*)", declaration.strip())
    assert match, declaration
    return match[1], len(match[2]), match[3]


def argument_type(declaration):
    base, stars, _ = split(declaration)
    if stars == 0:
        return VALUES[base]
    if stars == 2:
        return POINTER(POINTERS[base])
    return BUFFERS[base] if base in BUFFERS else POINTERS[base]


def functions(code):
    found = {}
    for result, name, arguments in re.findall(r"DIFFEO_API\s+([^()]*?)(\w+)\s*\(([^()]*)\)\s*;", code):
        listed = [] if arguments.strip() == "void" else arguments.split(",")
        found[name] = (argument_type(result), tuple(argument_type(each) for each in listed))
    assert len(found) == code.count("DIFFEO_API") > 50
    return found


def structs(code):
    found = {}
    for name, body, again in re.findall(r"typedef struct (\w+) \{(.*?)\} (\w+);", code, flags=re.DOTALL):
        assert name == again
        fields = found[name] = []
        for declaration in body.split(";")[:-1]:
            first, *more = declaration.split(",")
            base, stars, field = split(first)
            for each in (field, *more):
                fields.append((each.strip(), (FIELDS.get(base) or POINTERS[base]) if stars else VALUES[base]))
    return found


def test_every_function_has_the_arguments_of_the_header(code):
    declared = functions(code)
    ours = {name: (result, arguments) for name, result, arguments in _abi.signatures()}
    assert ours.keys() == declared.keys()
    for name in declared:
        assert ours[name] == declared[name], name


def test_functions_come_in_the_order_of_the_header(code):
    assert [name for name, _, _ in _abi.signatures()] == list(functions(code))


def test_every_function_is_exported_with_its_signature():
    for name, result, arguments in _abi.signatures():
        function = getattr(_abi.lib, name)
        assert function.restype is result
        assert tuple(function.argtypes) == arguments


def test_handles_and_callbacks(code):
    opaque = re.findall(r"typedef struct (\w+) (\w+);", code)
    assert {name for name, _ in opaque} == NAMED.keys() - _abi.STRUCTS.keys()
    ((result, arguments),) = re.findall(r"typedef (\w+) \(\*diffeo_progress\)\((.*?)\);", code)
    assert _abi.Progress._restype_ is VALUES[result]
    assert _abi.Progress._argtypes_ == tuple(argument_type(each) for each in arguments.split(","))


def test_structs_have_the_fields_of_the_header(code):
    declared = structs(code)
    assert declared.keys() == _abi.STRUCTS.keys()
    for name, fields in declared.items():
        assert list(_abi.STRUCTS[name]._fields_) == fields, name


@pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler")
def test_structs_are_laid_out_as_by_the_c_compiler(tmp_path):
    lines, expected = [], []
    for name, struct in _abi.STRUCTS.items():
        lines.append(f'  printf("%zu\\n", sizeof({name}));')
        expected.append(ctypes.sizeof(struct))
        for field, _ in struct._fields_:
            lines.append(f'  printf("%zu\\n", offsetof({name}, {field}));')
            expected.append(getattr(struct, field).offset)
    source = ['#include "diffeo.h"', "#include <stdio.h>", "int main(void) {", *lines, "}"]
    (tmp_path / "layout.c").write_text("\n".join(source))
    subprocess.run(["cc", "-I", HEADER.parent, "layout.c", "-o", "layout"], cwd=tmp_path, check=True)
    printed = subprocess.run([tmp_path / "layout"], capture_output=True, text=True, check=True).stdout
    assert [int(line) for line in printed.split()] == expected


def test_every_enumerator_has_its_value(code):
    declared = {}
    for body in re.findall(r"enum \{(.*?)\}", code, flags=re.DOTALL):
        for name, value in re.findall(r"(\w+) = (-?\d+)", body):
            declared[name] = int(value)
    ours = {"DIFFEO_OK": 0} | {kind.name: status for status, kind in errors.BY_STATUS.items()}
    ours |= {f"DIFFEO_F{name.removeprefix('float')}": value for name, value in _abi.DTYPES.items()}
    for prefix, table in {
        "": _abi.ACTIVATIONS,
        "SCALE_": _abi.SCALES,
        "ORDER_": _abi.ORDERS,
        "DEGREES_": _abi.DEGREES,
        "MASK_": _abi.MASKS,
        "BLOCKS_": _abi.BLOCKS,
        "CONTEXT_": _abi.CONTEXT_MODES,
        "BOUNDARY_": _abi.BOUNDARIES,
        "DERIVATIVE_": _abi.DERIVATIVES,
        "ENCODING_": _abi.ENCODINGS,
        "FAMILY_": _abi.FAMILIES,
        "TARGET_": _abi.TARGETS,
        "BASE_": _abi.BASES,
        "MADE_": _abi.CONDITIONALS,
        "DOMAIN_": _abi.DOMAINS,
        "SCHEDULE_": _abi.SCHEDULES,
        "TRAIN_": _abi.STATES,
    }.items():
        ours |= {f"DIFFEO_{prefix}{name.upper()}": value for name, value in table.items()}
    assert ours == declared


def test_versions():
    macros = dict(re.findall(r"#define DIFFEO_VERSION_(\w+) (\S+)", HEADER.read_text()))
    assert diffeo.__version__ == _abi.VERSION_STRING == macros["STRING"].strip('"')
    assert int(macros["NUMBER"]) == _abi.VERSION_NUMBER
    major, minor, patch = (int(macros[part]) for part in ("MAJOR", "MINOR", "PATCH"))
    assert f"{major}.{minor}.{patch}" == diffeo.__version__
    assert major * 10000 + minor * 100 + patch == _abi.VERSION_NUMBER
    assert _abi.lib.diffeo_version_string().decode() == diffeo.__version__
    assert _abi.lib.diffeo_version_number() == _abi.VERSION_NUMBER


def test_the_library_names_its_statuses_as_we_do():
    for status, kind in errors.BY_STATUS.items():
        assert _abi.lib.diffeo_status_name(status).decode() == kind.name
    assert _abi.lib.diffeo_status_name(0) == b"DIFFEO_OK"
