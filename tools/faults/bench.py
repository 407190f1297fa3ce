"""What the fault tests share: small conversions, what must come of them, and the counting."""

import concurrent.futures
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

OLD = b"what stood there before\n" * 50

#: A conversion's target and its further options. Each is a format and a way to write.
TARGETS = {
    "strata": ("out.strata", []),
    "strata deflated": ("out.strata", ["--compress", "deflate"]),
    "safetensors": ("out.safetensors", []),
    "npz": ("out.npz", []),
    "pytorch": ("out.pt", []),
    "hdf5": ("out.h5", []),
    "hdf5 deflated": ("out.h5", ["--compress", "deflate"]),
}
#: Four files and an index, and an older checkpoint of the same names.
SHARDS = ("out.safetensors", ["--shard-size", "100"])
OLD_SHARDS = ["--shard-size", "200", "--dtype", "F64"]


class Faults:
    """The tool, the preloaded library, and the small inputs."""

    def __init__(self, strata, build, quick):
        self.strata = str(Path(strata).resolve())
        self.build = Path(build)
        self.shim = str(self.build / "shim.so")
        self.killer = str(self.build / "killer")
        self.quick = quick
        self.root = Path(tempfile.mkdtemp(prefix="strata-faults-"))
        self.results = []
        fixture = Path("fixtures/pytorch/lstm-l1-uni-bias")
        self.golden = str((fixture / "golden.h5").resolve())
        self.input = str(self.root / "input.strata")
        subprocess.run(
            [self.strata, "convert", str(fixture / "model.h5"), self.input, "--quiet"], check=True)

    def close(self):
        shutil.rmtree(self.root)

    def directory(self):
        return Path(tempfile.mkdtemp(dir=self.root))

    def conversion(self, target, options, source=None, force=False):
        """The arguments that convert into a file of the current directory, or to a path."""
        return [
            self.strata, "convert", source or self.input, str(target), "--json", *options,
            *(["--force"] if force else [])]

    def run(self, arguments, environment=None, **options):
        return subprocess.run(
            arguments, capture_output=True, env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL, **options)

    def wanted(self, name, options, source=None):
        """Every file that a conversion makes, by name: the tool writes the same bytes each time."""
        directory = self.directory()
        done = self.run(self.conversion(directory / name, options, source))
        assert done.returncode == 0, done
        return contents(directory)

    def count(self, what, tried, failures, note=""):
        """Records a line of the table, and prints it."""
        survived = tried - len(failures)
        self.results.append({"what": what, "tried": tried, "survived": survived, "note": note})
        print(f"{survived} of {tried}  {what}{f' ({note})' if note else ''}", flush=True)
        for failure in failures[:5]:
            print("   FAILED:", failure, flush=True)

    def skip(self, what, why):
        print(f"not tried: {what}: {why}", flush=True)

    def large_input(self, megabytes):
        """A safetensors file of random tensors, of 4 MiB each."""
        path = self.root / f"large-{megabytes}.safetensors"
        if not path.exists():
            size = 1 << 22
            header = json.dumps({
                f"layer{i}.weight": {
                    "dtype": "F32", "shape": [1024, 1024],
                    "data_offsets": [i * size, (i + 1) * size]}
                for i in range(megabytes // 4)}).encode()
            header += b" " * (-len(header) % 8)
            path.write_bytes(
                len(header).to_bytes(8, "little") + header + os.urandom(megabytes // 4 * size))
        return str(path)


def contents(directory):
    """The bytes of every file of a directory, hidden ones too."""
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def split_litter(files):
    """The files that have names, and the names of hidden ones that were left behind."""
    litter = [name for name in files if name.startswith(".") and name.endswith(".tmp")]
    return {name: bytes for name, bytes in files.items() if name not in litter}, litter


def torn(files, old, new):
    """What is wrong with named files that a sudden end left, or None.

    A single file is old or new. Shards are a checkpoint only by their index, which may be gone, but
    must not name files of which it knows nothing.
    """
    index = next((name for name in new if name.endswith(".json")), None)
    if index and index not in files:
        return None
    if index:
        states = [state for state in (old, new) if files[index] == state.get(index)]
        whole = any(
            all(files.get(name) == content for name, content in state.items()) for state in states)
        return None if whole else f"an index of other files: {list(files)}"
    return None if files in (old, new) else f"neither old nor new: {list(files)}"


def judge(done, directory, old, new, killed=False):
    """What is wrong with the state after a run, or None.

    The target is what it was or what it was to become, byte for byte; status 0 means the latter.
    Only a process that was killed may leave hidden files.
    """
    files, litter = split_litter(contents(directory))
    if killed:
        return torn(files, old, new)
    if files not in (old, new):
        sizes = {name: len(bytes) for name, bytes in files.items()}
        return f"neither old nor new: {sizes}"
    if litter:
        return f"left {litter}"
    if done.returncode == 0:
        return None if files == new else "status 0, but the target is not new"
    if done.returncode != 2:
        return f"status {done.returncode}: {done.stderr[-200:]}"
    try:
        error = json.loads(done.stdout)["error"]
    except (ValueError, KeyError):
        return f"no error object: {done.stdout[-200:]}"
    if not error["code"] or not error["reason"] or not done.stderr.startswith(b"error: "):
        return f"no proper error: {error}"
    # A directory that cannot be synced is told after the file has got its name.
    if files == new != old and "may not outlive" not in error["reason"]:
        return f"the target is new, but the error is {error}"
    return None


def in_parallel(work, items, workers=2):
    """What `work` finds wrong with each item, without those of which it finds nothing."""
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        return [fault for fault in pool.map(work, items) if fault]

