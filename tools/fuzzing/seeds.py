"""Lays out the inputs that fuzzing begins with: python seeds.py STRATA DIRECTORY

Everything comes from fixtures/: files as they are, models converted by the tool STRATA, and the
pickles inside archives. One directory for each target of tools/fuzz.
"""

import io
import json
import pathlib
import subprocess
import sys
import zipfile

FIXTURES = pathlib.Path(__file__).resolve().parents[2] / "fixtures"
LARGEST = 1 << 16  # Larger inputs make a fuzzer slow; what they hold is in smaller ones as well.

# Models small enough to be run some thousand times a second, of every kind that there is.
MODELS = [
    "rnn-tanh-l1-uni-bias", "lstm-l1-uni-bias", "gru-l1-uni-bias", "gru-l3-bi-nobias",
    "lstm-l3-bi-bias", "rnn-relu-state", "lstm-proj-l1", "lstm-float16", "gru-bfloat16",
    "lstm-float64", "encoder-decoder", "convolution-gru", "wrapped-module", "cells-gru",
]
KINDS = ("head-", "lengths-", "packed-", "cell-", "cells-", "tokens-", "stacked-", "intermediates-",
         "gru-", "lstm-", "rnn-")


class Seeds:
    """The directories, and what goes into them."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)

    def path(self, target, name):
        path = self.directory / target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def add(self, target, name, content):
        if 0 < len(content) <= LARGEST:
            self.path(target, name).write_bytes(content)

    def copy(self, target, *patterns):
        for pattern in patterns:
            for path in sorted(FIXTURES.glob(pattern)):
                if path.is_file() and path.stat().st_size <= LARGEST:
                    name = "-".join(path.relative_to(FIXTURES).parts[1:])
                    self.add(target, name, path.read_bytes())


def convert(strata, source, target, *options):
    """Converts; what the tool refuses is no seed."""
    command = [strata, "convert", str(source), str(target), "--force", "--quiet", *options]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def strata_seeds(seeds, strata):
    """Files of our own, with and without goldens, deflated and not."""
    for case in sorted((FIXTURES / "pytorch").iterdir()):
        model, golden = case / "model.h5", case / "golden.h5"
        known = case.name in MODELS or case.name.startswith(KINDS)
        if not (known and golden.is_file()):
            continue
        path = seeds.path("verify", case.name + ".strata")
        done = convert(strata, model, path, "--golden", str(golden))
        if not done or path.stat().st_size > 12288:
            path.unlink(missing_ok=True)
    models = (seeds.directory / "verify").glob("*.strata")
    kept = sorted(models, key=lambda path: path.stat().st_size)
    for path in kept[:12]:
        seeds.add("strata", path.name, path.read_bytes())
        deflated = seeds.path("strata", "deflated-" + path.name)
        convert(strata, path, deflated, "--compress", "deflate")
    for name in ("hdf5/dtypes.h5", "hdf5/nested.h5", "containers/every.npz"):
        source = FIXTURES / name
        for compression in ("none", "deflate"):
            target = seeds.path("strata", f"{compression}-{source.stem}.strata")
            convert(strata, source, target, "--compress", compression)


def torch_seeds(seeds):
    """Archives by what they are, and the pickles inside."""
    paths = [*FIXTURES.glob("torch/*/*"), *FIXTURES.glob("malformed/pytorch/*")]
    for path in sorted(path for path in paths if path.is_file()):
        if path.suffix not in {".pt", ".pth", ".pt2", ".ckpt", ".tar", ".bin"}:
            continue
        content = path.read_bytes()
        name = f"{path.parent.name}-{path.name}"
        if not content.startswith(b"PK"):
            seeds.add("legacy", name, content)
            continue
        target = "pytorch"
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                names = archive.namelist()
                if any("data/weights/" in entry for entry in names) or path.suffix == ".pt2":
                    target = "exported"
                elif any("/code/" in entry for entry in names):
                    target = "torchscript"
                for entry in names:
                    if entry.endswith("data.pkl"):
                        seeds.add("pickle", name + ".pkl", archive.read(entry))
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, ValueError,
                EOFError, KeyError, UnicodeDecodeError):
            pass  # Malformed on purpose.
        seeds.add(target, name, content)


def index_seeds(seeds):
    """Indexes of the shards beside them: a.safetensors has w and x, b.safetensors y, c.bin z."""
    maps = {
        "one": {"w": "a.safetensors", "x": "a.safetensors"},
        "two": {"w": "a.safetensors", "x": "a.safetensors", "y": "b.safetensors"},
        "mixed": {"y": "b.safetensors", "z": "c.bin"},
        "torch": {"z": "c.bin"},
        "missing": {"w": "a.safetensors", "q": "a.safetensors"},
        "unnamed": {"w": "a.safetensors"},
        "absent": {"w": "d.safetensors"},
        "unsafe": {"w": "../a.safetensors"},
        "itself": {"w": "model.safetensors.index.json"},
        "empty": {},
    }
    for name, weight_map in maps.items():
        metadata = {"total_size": 6, "format": "pt", "by": "hand"}
        index = {"metadata": metadata, "weight_map": weight_map}
        seeds.add("index", name + ".json", json.dumps(index).encode())
    other = b'{"metadata": {"a": [1]}, "weight_map": {"y": "b.safetensors"}}'
    seeds.add("index", "other.json", other)
    seeds.add("index", "number.json", b'{"weight_map": {"y": 1}}')
    seeds.add("index", "no-map.json", b'{"metadata": {}, "weights": "weight_map"}')
    seeds.copy("index", "containers/*.index.json", "malformed/*/*.json")


def main():
    strata, directory = sys.argv[1:]
    seeds = Seeds(directory)
    strata_seeds(seeds, strata)
    torch_seeds(seeds)
    index_seeds(seeds)
    seeds.copy("safetensors", "containers/*.safetensors", "malformed/safetensors/*.safetensors")
    seeds.copy("npz", "containers/*.npz", "malformed/npz/*.npz")
    seeds.copy("npy", "containers/*.npy", "malformed/npz/*.npy")
    seeds.copy("hdf5", "hdf5/*.h5", "hdf5/refused/*.h5", "malformed/hdf5/*.h5")
    for path in sorted(seeds.directory.iterdir()):
        print(f"{len(list(path.iterdir())):5} seeds for {path.name}")


if __name__ == "__main__":
    main()
