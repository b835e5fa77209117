"""include/diffeo.h, read."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
HEADER = PROJECT / "include/diffeo.h"
WIDTH = 120


@dataclass
class Comment:
    text: str


@dataclass
class Macro:
    source: str


@dataclass
class Value:
    """An enumerator, or a field of a struct, or an argument: what a comment beside it says."""

    name: str
    type: str = ""
    number: int = 0
    comment: str = ""

    @property
    def base(self) -> str:
        """What is there when all pointers have been followed: 'float' for 'const float *'."""
        return self.type.removeprefix("const ").rstrip("* ")

    @property
    def pointers(self) -> int:
        return self.type.count("*")

    @property
    def constant(self) -> bool:
        return self.type.startswith("const ")


@dataclass
class Enum:
    members: list[Value | Comment]
    comment: str = ""

    @property
    def values(self) -> list[Value]:
        return [each for each in self.members if isinstance(each, Value)]


@dataclass
class Struct:
    """Without members: a handle."""

    name: str
    members: list[Value | Comment]
    comment: str = ""

    @property
    def fields(self) -> list[Value]:
        return [each for each in self.members if isinstance(each, Value)]


@dataclass
class Alias:
    """A type by another name: a number, or a pointer to a function, which then has arguments."""

    name: str
    type: str
    arguments: list[Value] | None = None
    source: str = ""
    comment: str = ""


@dataclass
class Function:
    name: str
    result: str
    arguments: list[Value]
    source: str
    comment: str = ""


@dataclass
class Section:
    title: str
    items: list[Comment | Macro | Enum | Struct | Alias | Function] = field(default_factory=list)


class Header:
    def __init__(self, text: str) -> None:
        self.macros = dict(re.findall(r"^#define DIFFEO_(VERSION_\w+) (\S+)", text, re.M))
        introduction, rest = re.fullmatch(r"/\*(.*?)\*/(.*)", text, re.S).groups()
        self.introduction = clean(introduction)
        self.sections: list[Section] = []
        self._read(rest)

    def _read(self, text: str) -> None:
        at, below = 0, None
        token_at = re.compile(r'\s*(/\*.*?\*/|#[^\n]*|extern "C" \{|\}|[^;{/]*(?:\{.*?\}[^;]*)?;)', re.S)
        while match := token_at.match(text, at):
            beside = "\n" not in text[at : match.start(1)]
            at, token = match.end(), match[1]
            if token.startswith("/*"):
                comment = clean(token[2:-2])
                if title := re.match(r"-{10,} \d+\. (.*)\n?", comment):
                    self.sections.append(Section(title[1]))
                    comment, below = comment[title.end() :].strip("\n"), None
                if beside and below is not None:
                    below.comment = comment
                elif comment and self.sections:
                    self.sections[-1].items.append(Comment(comment))
            elif token.startswith("#define DIFFEO_") and self.sections:
                self.sections[-1].items.append(Macro(token))
            elif token.endswith(";"):
                below = declaration(token)
                self.sections[-1].items.append(below)
        if text[at:].strip():
            raise SystemExit(f"not understood in {HEADER}: {text[at:].strip()[:200]}")

    def all(self, kind: type) -> list:
        return [item for section in self.sections for item in section.items if isinstance(item, kind)]

    @property
    def functions(self) -> list[Function]:
        return self.all(Function)

    @property
    def numbers(self) -> dict[str, str]:
        """Constants that are macros: those of the version, and others."""
        sources = "\n".join(each.source for each in self.all(Macro))
        return dict(re.findall(r"#define (DIFFEO_\w+) (\S+)", sources))

    @property
    def enums(self) -> list[Enum]:
        return self.all(Enum)

    @property
    def structs(self) -> list[Struct]:
        return [each for each in self.all(Struct) if each.members]

    @property
    def handles(self) -> list[Struct]:
        return [each for each in self.all(Struct) if not each.members]

    @property
    def soname(self) -> str:
        """Before 1.0 it goes with the minor version."""
        major, minor = self.macros["VERSION_MAJOR"], self.macros["VERSION_MINOR"]
        return f"libdiffeo.so.{major}" if int(major) > 0 else f"libdiffeo.so.{major}.{minor}"


def clean(comment: str) -> str:
    """Without the stars that begin its lines."""
    return "\n".join(re.sub(r"^\s*\* ?", "", line).rstrip() for line in comment.split("\n")).strip()


def value(text: str) -> Value:
    """'const float *x' -> Value('x', 'const float *')."""
    kind, stars, name = re.fullmatch(r"((?:const )?\w+)\s*(\**)\s*(\w*)", text.strip()).groups()
    return Value(name, f"{kind} {stars}".strip())


def values(text: str) -> list[Value]:
    return [] if text.strip() == "void" else [value(each) for each in text.split(",")]


def declaration(source: str) -> Enum | Struct | Alias | Function:
    if match := re.fullmatch(r"enum \{(.*)\};", source, re.S):
        return Enum(members(match[1], r"(\w+) = (-?\d+),?", lambda m: [Value(m[1], number=int(m[2]))]))
    if match := re.fullmatch(r"typedef struct (\w+) \{(.*)\} \1;", source, re.S):
        return Struct(match[1], members(match[2], r"([^;/]+);", fields))
    if match := re.fullmatch(r"typedef struct (\w+) \1;", source):
        return Struct(match[1], [])
    if match := re.fullmatch(r"typedef (\w+) \(\*(\w+)\)\((.*)\);", source, re.S):
        return Alias(match[2], match[1], values(match[3]), source)
    if match := re.fullmatch(r"typedef (\w+) (\w+);", source):
        return Alias(match[2], match[1], source=source)
    if match := re.fullmatch(r"DIFFEO_API ([^()]*?)(\w+)\(([^()]*)\);", source):
        return Function(match[2], value(match[1]).type, values(match[3]), source.removeprefix("DIFFEO_API "))
    raise SystemExit(f"not understood in {HEADER}: {source}")


def members(body: str, pattern: str, read: Callable[[re.Match[str]], list[Value]]) -> list[Value | Comment]:
    """Of an enum or a struct; a comment belongs to what stands before it in its line."""
    found: list[Value | Comment] = []
    at, latest = 0, []
    while match := re.compile(rf"\s*(?:{pattern}|(?P<comment>/\*.*?\*/))", re.S).match(body, at):
        if match["comment"] is None:
            latest = read(match)
            found += latest
        elif latest and "\n" not in body[at : match.start("comment")]:
            for each in latest:
                each.comment = clean(match["comment"][2:-2])
        else:
            found.append(Comment(clean(match["comment"][2:-2])))
        at = match.end()
    if body[at:].strip():
        raise SystemExit(f"not understood in {HEADER}: {body[at:].strip()[:200]}")
    return found


def fields(match: re.Match[str]) -> list[Value]:
    """'double low, high' -> both."""
    first, *more = match[1].split(",")
    first = value(first)
    return [first, *(Value(name.strip(), first.type) for name in more)]
