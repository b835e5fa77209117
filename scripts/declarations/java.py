"""bindings/java/diffeo/Diffeo.java: the functions by JNA."""

from .header import Alias, Header, Value

NUMBERS = {
    "int": "int",
    "int32_t": "int",
    "int64_t": "long",
    "uint64_t": "long",
    "size_t": "long",
    "uint8_t": "byte",
    "float": "float",
    "double": "double",
    "void": "void",
}

INTRODUCTION = """\
package diffeo;

import com.sun.jna.Callback;
import com.sun.jna.Library;
import com.sun.jna.Native;
import com.sun.jna.NativeLibrary;
import com.sun.jna.Pointer;
import com.sun.jna.Structure;
import com.sun.jna.ptr.PointerByReference;
import java.util.Map;

/**
 * What diffeo.h declares, which says what it means, by JNA: written by scripts/generate-interface.
 *
 * Handles are Pointers, and are ended by their destroy. Arrays are copied in and out by JNA; null is NULL. Numbers
 * without a sign have the bits of Java's. The library is that of the property diffeo.library, a path, else that of the
 * system.
 */
public final class Diffeo {
  private Diffeo() {}

  static {
    String library = System.getProperty("diffeo.library", "SONAME");
    Native.register(Diffeo.class, NativeLibrary.getInstance(library, Map.of(Library.OPTION_STRING_ENCODING, "UTF-8")));
  }

  /** The sentence of the library with its status. */
  public static final class Error extends RuntimeException {
    private static final long serialVersionUID = 1;
    public final int status;

    Error(int status, String message) {
      super(message);
      this.status = status;
    }
  }

  /** Throws what the latest failed call of this thread said, if this is a failure. */
  public static void check(int status) {
    if (status != DIFFEO_OK) throw new Error(status, diffeo_last_error());
  }
"""


def java(header: Header) -> str:
    structs = {each.name for each in header.structs}
    aliases = {each.name: each for each in header.all(Alias)}

    def number(kind: str) -> str:
        return NUMBERS[aliases[kind].type if kind in aliases else kind]

    def kind(each: Value) -> str:
        if each.base in aliases and aliases[each.base].arguments is not None:
            return each.base
        if each.pointers == 2:
            return "PointerByReference"
        if each.pointers == 0:
            return number(each.base)
        if each.base == "char":
            return "String" if each.constant else "byte[]"
        if each.base in structs:
            return each.base
        return f"{NUMBERS[each.base]}[]" if each.base in NUMBERS and each.base != "void" else "Pointer"

    def pointer_or_number(each: Value) -> str:
        """In a struct, and in what a function of Java's is called with."""
        if each.base in aliases and aliases[each.base].arguments is not None:
            return each.base
        return "Pointer" if each.pointers else number(each.base)

    def arguments(each: list[Value], kind) -> str:
        return ", ".join(f"{kind(argument)} {argument.name}" for argument in each)

    lines = [INTRODUCTION.replace("SONAME", header.soname)]
    for name, text in header.numbers.items():
        lines.append(f"  public static final {'int' if text.isdigit() else 'String'} {name} = {text};")
    for enum in header.enums:
        lines += ["", *(f"  public static final int {each.name} = {each.number};" for each in enum.values)]
    for struct in header.structs:
        names = ", ".join(f'"{each.name}"' for each in struct.fields)
        lines += [
            "",
            f"  @Structure.FieldOrder({{{names}}})",
            f"  public static class {struct.name} extends Structure {{",
        ]
        lines += [f"    public {pointer_or_number(each)} {each.name};" for each in struct.fields]
        if init := f"{struct.name}_init" if struct.name.endswith("_options") else "":
            lines += ["", "    /** With the defaults of the library. */", f"    public {struct.name}() {{"]
            lines += [f"      check({init}(this, size()));", "    }"]
        else:
            lines += ["", f"    public {struct.name}() {{", "      struct_size = size();", "    }"]
        lines.append("  }")
    for alias in aliases.values():
        if alias.arguments is not None:
            lines += ["", f"  public interface {alias.name} extends Callback {{"]
            lines.append(f"    {number(alias.type)} invoke({arguments(alias.arguments, pointer_or_number)});")
            lines.append("  }")
    lines.append("")
    for function in header.functions:
        result = kind(Value("", function.result))
        lines.append(f"  public static native {result} {function.name}({arguments(function.arguments, kind)});")
    return "\n".join([*lines, "}", ""])
