"""include/diffeo.f90: a module of interfaces."""

from .header import Alias, Function, Header, Value

LINE = 100

NUMBERS = {
    "int": "integer(c_int)",
    "int32_t": "integer(c_int32_t)",
    "int64_t": "integer(c_int64_t)",
    "uint64_t": "integer(c_int64_t)",
    "uint8_t": "integer(c_int8_t)",
    "size_t": "integer(c_size_t)",
    "float": "real(c_float)",
    "double": "real(c_double)",
    "char": "character(kind=c_char)",
}

INTRODUCTION = """\
! diffeo.f90 - diffeo.h for Fortran 2018: every function, struct and constant. Written by scripts/generate-interface.
!
! diffeo.h says what they mean. Of Fortran:
!   - A batch of n rows of dim values is an array x(dim, n).
!   - What may be NULL in C may be left out: all arrays, structs and strings are optional. Arguments after one that is
!     left out have their keywords. (Where C writes one number, as low of diffeo_option_bounds, it is an array of one.)
!   - Handles are type(c_ptr). Functions of yours are passed as c_funloc(...); their types are abstract interfaces.
!   - Strings end with a 0: trim(path)//c_null_char. diffeo_text makes one of C's a Fortran string.
!   - A status that is not DIFFEO_OK is an error, and diffeo_message() is what was wrong, in words.
!   - Fortran has no unsigned integers: seeds beyond 2^63 - 1 are the negative numbers with their bits.
!   - DIFFEO_VERSION_NUMBER and DIFFEO_VERSION_STRING are DIFFEO_HEADER_VERSION_NUMBER and so on: letters have no case.
!   - struct_size is c_sizeof(options), which is what the _init functions take; reports have it set before the call."""

HELPERS = """\
contains

  !> What was wrong in the latest failed call of this thread; '' before any failure.
  function diffeo_message() result(message)
    character(len=:), allocatable :: message
    message = diffeo_text(diffeo_last_error())
  end function

  !> A string of C, such as those of diffeo_version_string and diffeo_status_name.
  function diffeo_text(text) result(string)
    type(c_ptr), intent(in), value :: text
    character(len=:), allocatable :: string
    character(kind=c_char), pointer :: characters(:)
    integer :: i
    interface
      integer(c_size_t) function strlen(text) bind(c)
        import :: c_size_t, c_ptr
        type(c_ptr), value :: text
      end function
    end interface
    string = ''
    if (.not. c_associated(text)) return
    call c_f_pointer(text, characters, [strlen(text)])
    string = repeat(' ', size(characters))
    do i = 1, size(characters)
      string(i:i) = characters(i)
    end do
  end function

end module
"""


def fortran(header: Header) -> str:
    structs = {each.name for each in header.structs}
    aliases = {each.name: each for each in header.all(Alias)}

    def number(kind: str) -> str:
        alias = aliases.get(kind)
        return NUMBERS[alias.type if alias else kind]

    def argument(each: Value) -> str:
        base, intent = each.base, "in" if each.constant else "inout"
        if base in aliases and aliases[base].arguments is not None:
            return f"type(c_funptr), value :: {each.name}"
        if each.pointers == 0:
            return f"{number(base)}, value :: {each.name}"
        if each.pointers == 2:
            return f"type(c_ptr), intent(out) :: {each.name}"
        if base in NUMBERS:
            # Never intent(out): a failed call leaves what is there, and some add to it.
            shape = "" if base == "size_t" else "(*)"  # the length of a text, and no array
            return f"{NUMBERS[base]}, intent({intent}), optional :: {each.name}{shape}"
        if base in structs:
            return f"type({base}), intent({intent}), optional :: {each.name}"
        return f"type(c_ptr), value :: {each.name}"

    def procedure(each: Function | Alias, result: str, binding: str) -> list[str]:
        names = ", ".join(argument.name for argument in each.arguments or [])
        kind = "subroutine" if result == "void" else "function"
        lines = wrapped(f"{kind} {each.name}({names}) {binding}", 4)
        lines.append("      import")
        lines += [f"      {argument(each)}" for each in each.arguments or []]
        if kind == "function":
            lines.append(f"      {'type(c_ptr)' if '*' in result else number(result)} :: {each.name}")
        return [*lines, f"    end {kind}"]

    def field(each: Value) -> str:
        return f"{'type(c_ptr)' if each.pointers else number(each.type)} :: {each.name}"

    lines = [INTRODUCTION, "module diffeo", "  use, intrinsic :: iso_c_binding", "  implicit none", "  public", ""]
    taken = {each.name for each in [*header.functions, *header.structs, *aliases.values()]}
    for name, text in header.numbers.items():
        if name.lower() in taken:  # letters have no case
            name = name.replace("DIFFEO_", "DIFFEO_HEADER_")
        if text.isdigit():
            lines.append(f"  integer(c_int32_t), parameter :: {name} = {text}_c_int32_t")
        else:
            string = text.strip('"')
            lines.append(f"  character(len=*), parameter :: {name} = '{string}'")
    for enum in header.enums:
        lines.append("")
        lines += [f"  integer(c_int32_t), parameter :: {each.name} = {each.number}_c_int32_t" for each in enum.values]
    for struct in header.structs:
        lines += ["", f"  type, bind(c) :: {struct.name}", *(f"    {field(each)}" for each in struct.fields)]
        lines.append("  end type")
    lines += ["", "  ! Functions of yours.", "  abstract interface"]
    for each in aliases.values():
        if each.arguments is not None:
            lines += procedure(each, each.type, "bind(c)")
    lines += ["  end interface", "", "  interface"]
    for function in header.functions:
        lines += procedure(function, function.result, f"bind(c, name='{function.name}')")
    lines += ["  end interface", "", HELPERS]
    return "\n".join(lines)


def wrapped(text: str, indent: int) -> list[str]:
    """A statement in lines that are not too long, by continuation."""
    lines, rest = [], " " * indent + text
    while len(rest) > LINE:
        at = rest.rindex(", ", 0, LINE) + 2
        lines.append(rest[:at].rstrip() + " &")
        rest = " " * (indent + 4) + rest[at:]
    return [*lines, rest]
