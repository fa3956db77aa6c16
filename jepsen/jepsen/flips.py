"""Flipped bits in the files of a node that is stopped, and their undoing."""

import os


class Flip:
    def __init__(self, path, offset, before, after):
        self.path = path
        self.offset = offset
        self.before = before
        self.after = after
        self.inode = os.stat(path).st_ino  # a node that mends itself puts another file there

    def stands(self):
        """Whether the byte still is what the flip made of it, in the same file."""
        try:
            with open(self.path, "rb") as file:
                if os.fstat(file.fileno()).st_ino != self.inode:
                    return False
                file.seek(self.offset)
                return file.read(1) == bytes([self.after])
        except OSError:
            return False

    def undo(self):
        """Mends the byte where it still is the flipped one; never anything newer."""
        if self.stands():
            with open(self.path, "r+b") as file:
                file.seek(self.offset)
                file.write(bytes([self.before]))

    def __str__(self):
        return (f"{os.path.basename(self.path)}+{self.offset}: "
                f"{self.before:02x} -> {self.after:02x}")


def kinds_of_files(directory):
    """{"ledger": [LMDB's data], "log": [raft's segments]} of a data directory."""
    found = {"ledger": [], "log": []}
    for folder, _, names in os.walk(directory):
        for name in sorted(names):
            path = os.path.join(folder, name)
            if name == "data.mdb":
                found["ledger"].append(path)
            elif "-" in name and name.replace("-", "").isdigit() or name.startswith("open-"):
                found["log"].append(path)
    return found


def holds_something(path):
    """Whether a file is more than space that was set aside."""
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            if block.strip(b"\0"):
                return True
    return False


def flip(rng, path, count):
    """Flips `count` bits at places that hold something, in different bytes: each must still be seen
    to stand. Returns the Flips."""
    flips = []
    with open(path, "r+b") as file:
        size = len(file.read().rstrip(b"\0"))  # behind it there is only space set aside
        for _ in range(200 * count):
            if len(flips) == count or size == 0:
                break
            offset = rng.randrange(size)
            if any(flip.offset == offset for flip in flips):
                continue
            file.seek(offset)
            before = file.read(1)[0]
            if before == 0:
                continue  # mostly space that nobody reads
            after = before ^ (1 << rng.randrange(8))
            file.seek(offset)
            file.write(bytes([after]))
            flips.append(Flip(path, offset, before, after))
        file.flush()
        os.fsync(file.fileno())
    return flips
