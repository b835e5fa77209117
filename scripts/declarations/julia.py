"""bindings/julia/Diffeo.jl: constants, structs and functions by @ccall."""

from .header import Alias, Header, Value

NUMBERS = {
    "int": "Cint",
    "int32_t": "Int32",
    "int64_t": "Int64",
    "uint64_t": "UInt64",
    "uint8_t": "UInt8",
    "size_t": "Csize_t",
    "float": "Cfloat",
    "double": "Cdouble",
    "char": "Cchar",
    "void": "Cvoid",
}
INTRODUCTION = """\
# What diffeo.h declares, which says what it means: written by scripts/generate-interface. Not tried: there was no Julia
# at hand when it was written.
#
# A batch of n rows is an array of dim x n. Structs are given by Ref: options = Ref{diffeo_train_options}(), then
# diffeo_train_options_init(options, sizeof(options[])). The library is that of ENV["DIFFEO_LIBRARY"], else that of the
# system.
module Diffeo

const library = get(ENV, "DIFFEO_LIBRARY", "SONAME")

\"\"\"The sentence of the library, thrown by check(status).\"\"\"
struct DiffeoError <: Exception
    status::Int32
    message::String
end
Base.showerror(io::IO, error::DiffeoError) = print(io, error.message)
check(status) = status == DIFFEO_OK || throw(DiffeoError(status, unsafe_string(diffeo_last_error())))
"""


def julia(header: Header) -> str:
    aliases = {each.name: each for each in header.all(Alias)}
    handles = {each.name for each in header.handles}

    def number(kind: str) -> str:
        return NUMBERS[aliases[kind].type if kind in aliases else kind]

    def kind(each: Value, *, field: bool = False) -> str:
        if each.base in aliases and aliases[each.base].arguments is not None:
            return "Ptr{Cvoid}"
        if not each.pointers:
            return number(each.base)
        if each.base == "char" and each.constant and not field:
            return "Cstring"
        inner = "Cvoid" if each.base in handles else NUMBERS.get(each.base, each.base)
        return f"Ref{{Ptr{{{inner}}}}}" if each.pointers == 2 else f"Ptr{{{inner}}}"

    lines = [INTRODUCTION.replace("SONAME", header.soname)]
    for name, text in header.numbers.items():
        lines.append(f"const {name} = {f'Int32({text})' if text.isdigit() else text}")
    for enum in header.enums:
        lines += ["", *(f"const {each.name} = Int32({each.number})" for each in enum.values)]
    for struct in header.structs:
        lines += [
            "",
            f"struct {struct.name}",
            *(f"    {each.name}::{kind(each, field=True)}" for each in struct.fields),
        ]
        lines += [f"    {struct.name}() = new()", "end"]
    lines.append("")
    for function in header.functions:
        names = ", ".join(argument.name for argument in function.arguments)
        typed = ", ".join(f"{argument.name}::{kind(argument)}" for argument in function.arguments)
        result = kind(Value("", function.result))
        lines.append(f"{function.name}({names}) = @ccall library.{function.name}({typed})::{result}")
    return "\n".join([*lines, "", "end", ""])
