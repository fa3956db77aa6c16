"""A node's disk: an ext4 on a loop device on a file that loses what was not flushed.

    image (backing file) -> lossydisk (FUSE file) -> loop device -> ext4 at the mount point

A power cut drops what was not flushed; `revive` brings up a new disk with what survived.
"""

import contextlib
import mmap
import os
import subprocess
import time

from .tools import Child

CANARY = b"canary\n"
DIRECT_BYTES = 4096


class Disk:
    def __init__(self, base, mountpoint, size_mb, seed):
        self.image = base + ".img"
        self.device = base + ".disk"
        self.mountpoint = mountpoint
        self.seed = seed
        self.lives = 0
        self.child = None
        os.makedirs(mountpoint, exist_ok=True)
        with open(self.image, "wb") as file:
            file.truncate(size_mb * 1024 * 1024)
        with open(self.device, "wb"):
            pass
        _run("mkfs.ext4", "-q", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0",
             self.image)
        self.up()

    def up(self):
        self.lives += 1
        self.child = Child("lossydisk", self.seed * 1000 + self.lives, self.image, self.device)
        loop = _run("losetup", "-f", "--show", self.device).strip()
        try:
            # commit: only flushes that somebody asked for make anything durable.
            _run("mount", "-t", "ext4", "-o", "commit=1000,errors=remount-ro,noatime", loop,
                 self.mountpoint)
        finally:
            # From now on the kernel frees the device when it is unmounted.
            _run("losetup", "-d", loop)

    def down(self):
        """Takes the disk away; whoever used it must be gone. What is volatile is lost."""
        if self.child is None:
            return
        subprocess.run(["umount", "-l", self.mountpoint], check=False, capture_output=True)
        # The lazy unmount ends on its own; until then the loop device holds the FUSE file.
        deadline = time.monotonic() + 5
        while subprocess.run(["umount", self.device], check=False,
                             capture_output=True).returncode != 0:
            if time.monotonic() > deadline:
                subprocess.run(["umount", "-l", self.device], check=False, capture_output=True)
                break
            time.sleep(0.02)
        self.child.close()
        self.child = None

    def revive(self):
        self.down()
        self.up()

    def orderly(self):
        """Unmounts so that everything is flushed, and comes up again."""
        subprocess.run(["umount", self.mountpoint], check=False, capture_output=True)
        self.revive()

    # ---- canaries: proofs that a cut loses what was not flushed, and only that -----------------

    def canary_synced(self):
        """Not right before a cut: a flush of the disk is a flush for everybody."""
        path = os.path.join(self.mountpoint, "canary-synced")
        with open(path, "wb") as file:
            file.write(CANARY)
            file.flush()
            os.fsync(file.fileno())
        folder = os.open(self.mountpoint, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
        # A block that exists and is flushed; its next content will not be.
        self._direct(b"old")
        fd = os.open(os.path.join(self.mountpoint, "canary-direct"), os.O_RDONLY)
        os.fsync(fd)
        os.close(fd)

    def canary_unsynced(self):
        with open(os.path.join(self.mountpoint, "canary-lost"), "wb") as file:
            file.write(CANARY)

    def canary_volatile(self):
        """Overwrites a block on the device itself, past the kernel's cache, without a flush."""
        self._direct(b"new")

    def _direct(self, text):
        fd = os.open(os.path.join(self.mountpoint, "canary-direct"),
                     os.O_WRONLY | os.O_CREAT | os.O_DIRECT, 0o600)
        with contextlib.closing(mmap.mmap(-1, DIRECT_BYTES)) as block:
            block.write(text.ljust(DIRECT_BYTES, b"."))
            os.pwrite(fd, block, 0)
        os.close(fd)

    def canaries(self):
        """(synced is there, unsynced is gone, the direct block's text). The unsynced one's name
        may be
        there: a flush of the node carries the journal along, but no data of other files."""
        return (self._content("canary-synced") == CANARY, self._content("canary-lost") != CANARY,
                self._content("canary-direct")[:3].decode("latin-1"))

    def _content(self, name):
        try:
            with open(os.path.join(self.mountpoint, name), "rb") as file:
                return file.read()
        except OSError:
            return b""

    def forget_canaries(self):
        for name in ("canary-synced", "canary-lost", "canary-direct"):
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(self.mountpoint, name))

    # ---- others -------------------------------------------------------------------------------

    def flush_ms(self):
        """How long one flushed write takes now."""
        path = os.path.join(self.mountpoint, "canary-flush")
        fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
        begin = time.monotonic()
        os.pwrite(fd, os.urandom(64), 0)
        os.fdatasync(fd)
        took_ms = (time.monotonic() - begin) * 1000
        os.close(fd)
        return took_ms

    def free_bytes(self):
        about = os.statvfs(self.mountpoint)
        return about.f_bavail * about.f_frsize

    def close(self):
        self.down()
        for path in (self.image, self.device):
            with contextlib.suppress(OSError):
                os.unlink(path)


def _run(*command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout
