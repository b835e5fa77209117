"""docs/c-api.md, the header set to be read."""

import re

from .header import Alias, Comment, Enum, Function, Header, Macro, Struct, Value


def reference(header: Header) -> str:
    lines = [
        "# The C API",
        "",
        "What [diffeo.h](../include/diffeo.h) declares, set to be read; the header is the original, and this page is "
        "written from it by `make interface`. The rules behind it are in [abi.md](abi.md), the mathematics in "
        "[flows.md](flows.md). All functions by name: [index](#index).",
        "",
        *prose(header.introduction),
    ]
    for number, section in enumerate(header.sections, 1):
        lines += [f"## {number}. {section.title}", ""]
        # Declarations that follow one another, and where links to them lead.
        code: list[str] = []
        anchors: list[str] = []
        for item in [*section.items, Comment("")]:
            if isinstance(item, Macro):
                code.append(item.source)
            elif isinstance(item, Function):
                anchors.append(f'<a id="{item.name}"></a>')
                code += (item.source + (f" /* {item.comment} */" if item.comment else "")).split("\n")
            elif code:
                lines += [*anchors, *([""] if anchors else []), "```c", *code, "```", ""]
                code, anchors = [], []
            if isinstance(item, Comment):
                lines += prose(item.text)
            elif isinstance(item, Alias):
                lines += ["```c", item.source, "```", ""]
            elif isinstance(item, Enum):
                lines += table(("value", "", "meaning"), item.members, lambda v: (f"`{v.name}`", str(v.number)))
                lines += prose(item.comment)
            elif isinstance(item, Struct):
                lines += [f"### {item.name}", ""]
                head = ("field", "type", "meaning: default")
                lines += (
                    table(head, item.members, lambda v: (f"`{v.name}`", f"`{v.type}`"))
                    if item.members
                    else ["A handle.", ""]
                )
    lines += ["## Index", ""]
    lines += [f"- [{name}](#{name})" for name in sorted(f.name for f in header.functions)]
    return "\n".join(lines) + "\n"


def table(head: tuple[str, ...], members: list[Value | Comment], cells) -> list[str]:
    lines = [f"| {' | '.join(head)} |", "|---|---|---|"]
    for each in members:
        if isinstance(each, Comment):
            lines.append(f"| | | {words(each.text)} |")
        else:
            lines.append(f"| {' | '.join(cells(each))} | {words(each.comment)} |")
    return [*lines, ""]


def words(text: str) -> str:
    """One line of Markdown that reads as the comment does."""
    text = re.sub(r"\s+", " ", text)
    pieces = re.split(r"\b((?:diffeo|DIFFEO)_\w*\w\*?(?:\(\))?)", text)
    escaped = [re.sub(r"[\\`*<|]|(?<!\w)_|_(?!\w)", r"\\\g<0>", piece) for piece in pieces]
    return "".join(f"`{pieces[i]}`" if i % 2 else escaped[i] for i in range(len(pieces)))


def prose(text: str) -> list[str]:
    """A comment as Markdown: paragraphs, lists where a line begins with a word and a gap, code where it is indented."""
    lines: list[str] = []
    for paragraph in filter(None, text.split("\n\n")):
        if all(line.startswith("    ") for line in paragraph.split("\n")):
            lines += ["```c", *(line[4:] for line in paragraph.split("\n")), "```", ""]
            continue
        block: list[str] = []
        for line in paragraph.split("\n"):
            label = re.match(r" {0,3}(\S+(?: \S+)*) {2,}(\S.*)", line)
            if label and not line.startswith("    "):
                block.append(f"- **{words(label[1])}** {words(label[2])}")
            elif block and (line.startswith("   ") or not block[-1].startswith("- ")):
                block[-1] += " " + words(line.strip())
            else:
                if block:
                    block.append("")
                block.append(words(line.strip()))
        for i, line in enumerate(block):
            if line.startswith("- ") and i > 0 and block[i - 1] and not block[i - 1].startswith("- "):
                lines.append("")
            lines.append(line)
        lines.append("")
    return lines
