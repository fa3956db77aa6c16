"""A node's wall clock, moved through the page that tools/clockshim.c reads."""

import mmap
import struct

from . import tools

PAGE = struct.Struct("<qQ")  # offset_ns, answers shifted


class Clock:
    def __init__(self, path):
        self.path = path
        with open(path, "wb") as file:
            file.write(bytes(mmap.PAGESIZE))
        self.file = open(path, "r+b")
        self.page = mmap.mmap(self.file.fileno(), mmap.PAGESIZE)

    def environment(self):
        """(LD_PRELOAD entry, variables) of the node."""
        return tools.preload("clockshim"), {"JEPSEN_CLOCK": self.path}

    def shift(self, offset_ms):
        struct.pack_into("<q", self.page, 0, int(offset_ms * 1_000_000))

    def read(self):
        """(offset_ns, answers shifted since the start)."""
        return PAGE.unpack_from(self.page, 0)

    def close(self):
        self.page.close()
        self.file.close()
