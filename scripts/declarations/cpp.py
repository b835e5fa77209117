"""The options of include/diffeo.hpp, which is written by hand but for them."""

import re

from .header import PROJECT, Header, Struct, Value

FRONT = "include/diffeo.hpp"
PLACE = re.compile(r"(?<=// Written by scripts/generate-interface:\n).*?(?=// Until here\.\n)", re.S)

FIXED = ("int32_t", "int64_t", "uint64_t", "uint8_t")
NUMBERS = {"float": "float", "double": "double", **{name: f"std::{name}" for name in FIXED}}


def is_options(struct: Struct) -> bool:
    return struct.name.endswith("_options")


def counted(struct: Struct, each: Value) -> str:
    """The field that has the length of an array: hidden_count of hidden, column_count of columns. Else nothing."""
    names = [f"{each.name}_count", f"{each.name.removesuffix('s')}_count"]
    return next((field.name for field in struct.fields if field.name in names), "")


def options(header: Header) -> str:
    """The file with the options written anew."""
    parts = "\n".join(options_struct(each) for each in header.structs if is_options(each))
    return PLACE.sub(lambda _: parts, (PROJECT / FRONT).read_text(), count=1)


def options_struct(struct: Struct) -> str:
    """One struct: fields, setters, and in_c, which holds what the C struct points to."""
    name, c_name = struct.name.removeprefix("diffeo_"), struct.name
    counts = {counted(struct, each) for each in struct.fields if each.pointers}
    declared, setters, filled, held, begun = [], [], [], [], []
    for each in struct.fields:
        if each.name == "struct_size" or each.name.startswith("reserved") or each.name in counts:
            continue
        given = "std::move(value)"
        if each.pointers and each.base.startswith("diffeo_"):
            kind = each.base.removeprefix("diffeo_")
            declared.append(f"std::optional<{kind}> {each.name}{{}};")
            held.append(f"std::optional<{kind}::in_c> {each.name}_{{}};")
            begun.append(f"if (from.{each.name}) c_.{each.name} = {each.name}_.emplace(*from.{each.name}).get();")
        elif each.type == "const char *":
            kind = "std::string"
            declared.append(f"std::optional<{kind}> {each.name}{{}};")
            filled.append(f'if (from.{each.name}) c_.{each.name} = detail::c_string("{each.name}", *from.{each.name});')
        elif each.pointers and each.base in NUMBERS:
            kind = f"std::vector<{NUMBERS[each.base]}>"
            declared.append(f"std::optional<{kind}> {each.name}{{}};")
            filled.append(f"c_.{each.name} = detail::array(from.{each.name});")
            if count := counted(struct, each):
                filled.append(f"c_.{count} = detail::count(from.{each.name});")
        else:  # a number, or what C++ can do no better with: a function, a pointer to it knows not what
            kind = NUMBERS.get(each.base, each.base) + " *" * each.pointers
            given = "value"
            declared.append(f"{kind} {each.name} = defaults().{each.name};")
            filled.append(f"c_.{each.name} = from.{each.name};")
        setters.append(f"{name} &set_{each.name}({kind} value) {{ {each.name} = {given}; return *this; }}")
    body = [
        f"/* {c_name} */",
        f"struct {name} {{",
        f"  static const {c_name} &defaults() {{",
        f"    return detail::defaults<{c_name}, {c_name}_init>();",
        "  }",
        "",
        *(f"  {line}" for line in [*declared, "", *setters, ""]),
        "  class in_c {",
        "   public:",
        f"    explicit in_c(const {name} &from) {{",
        *(f"      {line}" for line in [*filled, *begun]),
        "    }",
        "    in_c(const in_c &) = delete;",
        "    in_c &operator=(const in_c &) = delete;",
        f"    const {c_name} *get() const {{ return &c_; }}",
        "",
        "   private:",
        f"    {c_name} c_ = defaults();",
        *(f"    {line}" for line in held),
        "  };",
        "};",
        "",
    ]
    return "\n".join(line.rstrip() for line in body)
