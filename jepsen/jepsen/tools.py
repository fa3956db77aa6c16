"""The injectors in C: compiled at first use, and again when their source changes."""

import hashlib
import os
import subprocess

from . import paths

FLAGS = ["-std=c11", "-O2", "-Wall", "-Wextra"]


def program(name):
    """Path of a compiled program of jepsen/tools."""
    return _build(name, [])


def preload(name):
    """Path of a compiled shared object for LD_PRELOAD."""
    return _build(name, ["-shared", "-fPIC"])


def _build(name, more):
    source = os.path.join(paths.TOOLS, name + ".c")
    with open(source, "rb") as file:
        digest = hashlib.sha256(file.read() + " ".join(FLAGS + more).encode()).hexdigest()[:12]
    target = os.path.join(paths.TOOLS_BUILT, f"{name}-{digest}" + (".so" if more else ""))
    if not os.path.exists(target):
        os.makedirs(paths.TOOLS_BUILT, exist_ok=True)
        made = f"{target}.{os.getpid()}"
        done = subprocess.run(["cc", *FLAGS, *more, "-o", made, source, "-ldl"],
                              capture_output=True, text=True, timeout=120, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{name}.c does not compile:\n{done.stderr}")
        os.replace(made, target)
    return target


class Child:
    """A tool that obeys lines on its standard input and answers each with one line."""

    def __init__(self, name, *arguments, log=None):
        self.process = subprocess.Popen(
            [program(name), *map(str, arguments)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=log or subprocess.DEVNULL, text=True, bufsize=1)
        if self.process.stdout.readline().strip() != "ready":
            self.process.wait(timeout=5)
            raise RuntimeError(f"{name} did not start")

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def order(self, line):
        answer = self.ask(line)
        if answer != "ok":
            raise RuntimeError(f"{line!r} was answered {answer!r}")

    def figures(self, line):
        """An answer of the form a=1 b=2 as a map."""
        return {name: int(value) for name, value in
                (pair.split("=") for pair in self.ask(line).split())}

    def close(self):
        """The end of its input ends it."""
        if self.process.stdin and not self.process.stdin.closed:
            self.process.stdin.close()
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
