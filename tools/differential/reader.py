"""A reader that runs as a process of its own and is asked for one file after the other."""

import json
import os
import select
import struct
import subprocess
import sys
import tempfile
from dataclasses import dataclass

PATIENCE = 20
"""Seconds after which a reader counts as hung."""
START = 300
"""Seconds that its first answer may take: torch alone loads gigabytes of libraries."""


@dataclass(frozen=True)
class Answer:
    """What a reader says of a file: its tensors, or the fault."""
    tensors: dict = None
    fault: str = None
    reason: str = ""

    @property
    def accepts(self):
        """Whether it read the file."""
        return self.tensors is not None

    @property
    def died(self):
        """Whether it ended or hung instead of saying anything."""
        return self.fault in ("crashed", "hung")


def parsed(text):
    """An answer out of its words."""
    if text.startswith("!"):
        fault, _, reason = text[1:].partition("\t")
        return Answer(fault=fault, reason=reason)
    tensors = {}
    for line in text.split("\n") if text else ():
        name, dtype, shape, data = line.split(" ")
        tensors[name] = (dtype, shape, data)
    return Answer(tensors)


class Reader:
    """A process; when it dies of a file it is started anew for the next one."""

    def __init__(self, command):
        self.command, self.process, self.patience = command, None, START

    def ask(self, data):
        """What it says of the bytes of a file."""
        if self.process is None:
            self.patience = START
            self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE,
                                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        try:
            self.process.stdin.write(struct.pack("<I", len(data)) + data)
            self.process.stdin.flush()
            size = struct.unpack("<I", self.take(4))[0]
            answer = parsed(self.take(size).decode())
            self.patience = PATIENCE
            return answer
        except TimeoutError:
            return self.gone("hung", f"no answer within {self.patience} s")
        except (BrokenPipeError, EOFError):
            status = self.process.wait()
            return self.gone("crashed", f"signal {-status}" if status < 0 else f"status {status}")

    def gone(self, fault, reason):
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            try:
                pipe.close()
            except BrokenPipeError:
                pass
        self.process = None
        return Answer(fault=fault, reason=reason)

    def take(self, count):
        """Exactly so many bytes of its answer."""
        pieces, waited, pipe = b"", 0, self.process.stdout.fileno()
        while len(pieces) < count:
            # Second by second, so that time in which the whole machine stood still counts as one.
            while not select.select([pipe], [], [], 1)[0]:
                waited += 1
                if waited >= self.patience:
                    raise TimeoutError
            piece = os.read(pipe, count - len(pieces))
            if not piece:
                raise EOFError
            pieces += piece
        return pieces

    def close(self):
        """Ends the process."""
        if self.process is not None:
            self.process.stdin.close()
            self.process.wait()
            self.process.stdout.close()
            self.process = None


class Strata(Reader):
    """The probe; where libhdf5 ends it, the tool is asked, which reads HDF5 in another process."""

    def __init__(self, probe, tool):
        super().__init__([probe])
        self.tool = tool

    def ask(self, data):
        answer = super().ask(data)
        return self.asked(data) if answer.died and data.startswith(b"\x89HDF") else answer

    def asked(self, data):
        """What the tool says of a file."""
        with tempfile.NamedTemporaryFile(suffix=".h5") as file:
            file.write(data)
            file.flush()
            try:
                run = subprocess.run([self.tool, "inspect", file.name, "--json"], check=False,
                                     capture_output=True, timeout=PATIENCE)
            except subprocess.TimeoutExpired:
                return Answer(fault="hung")
        if run.returncode != 2:
            return Answer(fault="crashed", reason=f"the tool ended with {run.returncode}")
        error = json.loads(run.stdout)["error"]
        return Answer(fault=error["code"], reason=error["reason"])


def reference(form):
    """The reference reader of a format."""
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "reference.py")
    return Reader([sys.executable, script, form])
