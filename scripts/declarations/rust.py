"""bindings/rust/src/sys.rs: what an extern "C" block of Rust says."""

from .header import Alias, Header, Value

NUMBERS = {
    "int": "c_int",
    "int32_t": "i32",
    "int64_t": "i64",
    "uint64_t": "u64",
    "uint8_t": "u8",
    "size_t": "usize",
    "float": "f32",
    "double": "f64",
    "char": "c_char",
    "void": "c_void",
}
KEYWORDS = {
    "as",
    "const",
    "fn",
    "impl",
    "in",
    "let",
    "loop",
    "match",
    "mod",
    "move",
    "ref",
    "self",
    "trait",
    "type",
    "use",
}


def rust(header: Header) -> str:
    def kind(each: Value) -> str:
        base = NUMBERS.get(each.base, each.base)
        if not each.pointers:
            return base
        return "*mut " * (each.pointers - 1) + ("*const " if each.constant else "*mut ") + base

    def name(each: Value) -> str:
        return f"r#{each.name}" if each.name in KEYWORDS else each.name

    def arguments(each: list[Value]) -> str:
        return ", ".join(f"{name(argument)}: {kind(argument)}" for argument in each)

    def result(text: str) -> str:
        return "" if text == "void" else f" -> {kind(Value('', text))}"

    lines = ["//! What diffeo.h declares, which says what it means: written by scripts/generate-interface."]
    lines += ["", "#![allow(non_camel_case_types)]", "", "use std::os::raw::{c_char, c_int, c_void};", ""]
    for constant, text in header.numbers.items():
        lines.append(f"pub const {constant}: {'i32' if text.isdigit() else '&str'} = {text};")
    for enum in header.enums:
        lines += ["", *(f"pub const {each.name}: i32 = {each.number};" for each in enum.values)]
    lines.append("")
    for alias in header.all(Alias):
        if alias.arguments is None:
            lines.append(f"pub type {alias.name} = {NUMBERS[alias.type]};")
        else:
            function = f'unsafe extern "C" fn({arguments(alias.arguments)}){result(alias.type)}'
            lines.append(f"pub type {alias.name} = Option<{function}>;")
    for handle in header.handles:
        lines += ["", "#[repr(C)]", f"pub struct {handle.name} {{", "    _private: [u8; 0],", "}"]
    for struct in header.structs:
        lines += ["", "#[repr(C)]", "#[derive(Clone, Copy, Debug)]", f"pub struct {struct.name} {{"]
        lines += [f"    pub {name(each)}: {kind(each)}," for each in struct.fields]
        lines.append("}")
    lines += ["", '#[link(name = "diffeo")]', 'extern "C" {']
    for function in header.functions:
        lines.append(f"    pub fn {function.name}({arguments(function.arguments)}){result(function.result)};")
    return "\n".join([*lines, "}", ""])
