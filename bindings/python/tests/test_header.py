"""What is written from include/diffeo.h, and whether what changed in it breaks programs that are compiled already."""

import ctypes
import re
import runpy
import shutil
import subprocess
from pathlib import Path

import diffeo
import pytest
from diffeo import _abi, errors

PROJECT = Path(__file__).resolve().parents[3]
HEADER = PROJECT / "include/diffeo.h"
pytestmark = pytest.mark.skipif(not HEADER.is_file(), reason="not in a source checkout")


@pytest.fixture(scope="module")
def interface():
    """The names of scripts/generate-interface, and of what it writes of C."""
    script = runpy.run_path(str(PROJECT / "scripts/generate-interface"), run_name="interface")
    return {**vars(script["c"]), **script}


@pytest.fixture(scope="module")
def header(interface):
    return interface["Header"](HEADER.read_text())


@pytest.fixture(scope="module")
def described():
    return (PROJECT / "abi/diffeo.abi").read_text().splitlines()


def test_nothing_is_stale(interface):
    stale = [str(path.relative_to(PROJECT)) for path in interface["stale"]()]
    assert not stale, "not what include/diffeo.h says: make interface"


def test_the_whole_header_is_read(header):
    text = re.sub(r"/\*.*?\*/|^\s*#.*?$", " ", HEADER.read_text(), flags=re.DOTALL | re.MULTILINE)
    assert len(header.functions) == text.count("DIFFEO_API") > 50
    assert len(header.structs) + len(header.handles) == text.count("typedef struct") > 10
    assert len(header.enums) == text.count("enum {") > 10
    assert sum(len(enum.values) for enum in header.enums) == text.count(" = ")


@pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler")
def test_the_c_compiler_agrees_with_the_description(described, tmp_path):
    """Each line of abi/diffeo.abi as something that compiles only if it is so."""
    assertions = []
    for line in filter(None, described):
        match line.split(maxsplit=1):
            case "enumerator", rest:
                name, value = rest.split()
                assertions.append(f"_Static_assert({name} == {value}, {name!r});".replace("'", '"'))
            case "field", rest:
                struct, field, offset, size, kind = re.fullmatch(
                    r"(\w+)\.(\w+) offset (\d+) size (\d+) type (.*)", rest
                ).groups()
                member = f"(({struct} *)0)->{field}"
                assertions.append(f'_Static_assert(offsetof({struct}, {field}) == {offset}, "{struct}.{field}");')
                assertions.append(f'_Static_assert(sizeof({member}) == {size}, "{struct}.{field}");')
                assertions.append(f"{kind} *field_{len(assertions)}(void) {{ return &{member}; }}")
            case "function", rest:
                result, name, arguments = re.fullmatch(r"(.*?)(diffeo_\w+)\((.*)\)", rest).groups()
                assertions.append(f"{result} (*function_{len(assertions)})({arguments}) = {name};")
            case "type", rest:
                name, kind, arguments = re.fullmatch(r"(\w+) (\w+)(?: (\(.*\)))?", rest).groups()
                kind = f"{kind} (*type_{name}){arguments}" if arguments else f"{kind} type_{name}"
                assertions.append(f"extern {name} type_{name}; extern {kind};")
            case "handle", name:
                assertions.append(f"struct {name} *handle_{name}(void) {{ return ({name} *)0; }}")
            case "soname", _:
                pass
            case _:
                pytest.fail(f"what is {line!r}?")
    source = "\n".join(['#include "diffeo.h"', "#include <stddef.h>", *assertions, ""])
    (tmp_path / "described.c").write_text(source)
    command = ["cc", "-std=c11", "-Wall", "-Werror", "-I", HEADER.parent, "-c", "described.c"]
    subprocess.run(command, cwd=tmp_path, check=True)


def test_structs_have_no_gaps(header, interface):
    """Bytes that no field has would be undefined, and a field put there later could not be told from them."""
    for struct in header.structs:
        places, size = interface["layout"](struct)
        assert sum(size for _, size in places) == size, struct.name


def broken(released, described):
    """What a program that was compiled against the first misses in the second."""
    if released[0] != described[0]:
        return []  # it does not find the library, either
    ends = {}
    for line in released:
        if match := re.match(r"field (\w+)\.\w+ offset (\d+) size (\d+)", line):
            ends[match[1]] = max(ends.get(match[1], 0), int(match[2]) + int(match[3]))
    added = [re.match(r"field (\w+)\.\w+ offset (\d+)", line) for line in set(described) - set(released)]
    between = [match[0] for match in added if match and int(match[2]) < ends.get(match[1], 0)]
    return [line for line in released if line not in described] + between


def test_what_breaks_programs(described):
    end = "field diffeo_network_options.more offset 56 size 8 type double"
    assert end.replace("more offset 56", "layer_norm_epsilon offset 48") in described
    assert not broken(described, described)
    assert not broken(described, [*described, end, "function void diffeo_more(void)"])
    assert broken(described, [*described, end.replace("56", "52")])
    for i in range(1, len(described)):
        if described[i]:
            fewer = described[:i] + described[i + 1 :]
            assert broken(described, fewer) == [described[i]]
            assert not broken(described, ["soname libdiffeo.so.7", *fewer[1:]])


def test_a_change_only_adds_or_the_soname_moves(described):
    """abi/released.abi is the description of the version released last."""
    released = (PROJECT / "abi/released.abi").read_text().splitlines()
    assert not broken(released, described), f"{described[0]} has changed what was released: docs/abi.md"


def test_python_has_the_structs_of_the_description(described):
    ours = [
        f"field {name}.{field} offset {place.offset} size {place.size}"
        for name, struct in _abi.STRUCTS.items()
        for field, _ in struct._fields_
        for place in [getattr(struct, field)]
    ]
    assert ours == [line.split(" type ")[0] for line in described if line.startswith("field ")]


def test_every_function_is_exported_with_its_signature(header):
    assert list(_abi.SIGNATURES) == [function.name for function in header.functions]
    for name, (result, *arguments) in _abi.SIGNATURES.items():
        function = getattr(_abi.lib, name)
        assert function.restype is result
        assert list(function.argtypes) == arguments


def test_arguments_are_what_they_are_in_c(header):
    """By what they hold and how often they point, which is written here a second time."""
    sizes = {"int32_t": 4, "diffeo_status": 4, "int64_t": 8, "uint64_t": 8, "size_t": 8, "double": 8}
    for function in header.functions:
        for argument, ours in zip(function.arguments, _abi.SIGNATURES[function.name][1:], strict=True):
            base = argument.type.removeprefix("const ").rstrip("*").strip()
            if argument.type.endswith("*"):
                assert ctypes.sizeof(ours) == 8
                if issubclass(ours, ctypes.c_void_p) and base != "void":
                    assert ours.dtype.name == {"float": "float32", "double": "float64"}.get(
                        base, base.removesuffix("_t")
                    )
                elif base.startswith("diffeo_"):
                    assert argument.type.endswith("**") == (hasattr(ours._type_, "_type_"))
            elif not base.startswith(("diffeo_progress", "diffeo_read_rows", "diffeo_target", "diffeo_parallel")):
                assert ctypes.sizeof(ours) == sizes[base]
                assert ours._type_.islower() == (not base.startswith(("uint", "size")))


def test_every_function_that_makes_a_handle_is_tried_where_it_makes_none(header):
    makers = {f.name for f in header.functions if any(argument.type.endswith("**") for argument in f.arguments)}
    table = re.search(r"#define MAKERS\(X\)(.*?)\n\n", (PROJECT / "Tests/abi/abuse.c").read_text(), re.DOTALL)[1]
    assert {f"diffeo_{name}" for name in re.findall(r"X\((\w+),", table)} == makers


def test_statuses_are_exceptions():
    ours = {"ok": 0} | {kind.name.removeprefix("DIFFEO_").lower(): status for status, kind in errors.BY_STATUS.items()}
    assert ours == _abi.STATUSES


def test_the_library_names_its_statuses_as_we_do():
    for name, status in _abi.STATUSES.items():
        assert _abi.lib.diffeo_status_name(status).decode() == f"DIFFEO_{name.upper()}"


def test_versions():
    macros = dict(re.findall(r"#define DIFFEO_VERSION_(\w+) (\S+)", HEADER.read_text()))
    assert diffeo.__version__ == _abi.VERSION_STRING == macros["STRING"].strip('"')
    assert int(macros["NUMBER"]) == _abi.VERSION_NUMBER
    major, minor, patch = (int(macros[part]) for part in ("MAJOR", "MINOR", "PATCH"))
    assert f"{major}.{minor}.{patch}" == diffeo.__version__
    assert major * 10000 + minor * 100 + patch == _abi.VERSION_NUMBER
    assert _abi.lib.diffeo_version_string().decode() == diffeo.__version__
    assert _abi.lib.diffeo_version_number() == _abi.VERSION_NUMBER
