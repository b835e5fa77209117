"""bindings/lua/diffeo.lua: the header without what LuaJIT's parser does not read, and the library."""

import re

from .header import HEADER, Header

MODULE = """\
-- diffeo.h for LuaJIT: local diffeo, ffi = require "diffeo", require "ffi". Written by scripts/generate-interface.
-- Functions, constants and structs have their names of C: diffeo.diffeo_flow_load, diffeo.DIFFEO_OK. The library is
-- that of the environment variable DIFFEO_LIBRARY, else that of the system.
local ffi = require "ffi"

ffi.cdef [[
{declarations}
]]

return ffi.load(os.getenv "DIFFEO_LIBRARY" or "{soname}")
"""


def lua(header: Header) -> str:
    text = re.sub(r"/\*.*?\*/", "", HEADER.read_text(), flags=re.S)
    text = re.sub(r'^#.*$|extern "C" \{|^\}$|DIFFEO_API ', "", text, flags=re.M)
    lines = [line.rstrip() for line in text.split("\n") if line.strip()]
    return MODULE.format(declarations="\n".join(lines), soname=header.soname)
