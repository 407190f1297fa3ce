"""Measures what the corpora reach, and writes coverage.md: python coverage.py PROGRAMS WORK

PROGRAMS is where the fuzzers stand, built with profiling; WORK holds the corpora. Swift's compiler
makes no branch counters, only regions: each body of an if, else, guard, case, loop, catch, the
right side of each && || ?? and each arm of ?: is one, so that a region is one way of a branch.
`llvm-cov export` tells how often each was entered.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
REPORT = ROOT / "tools/fuzzing/coverage.md"
# The compiler's own: those of a distribution read older profiles.
TOOLCHAIN = pathlib.Path(shutil.which("swift")).resolve().parent
GOAL = 90

ZIP = ["ZipArchive", "ZipDirectory", "ZipEndRecord", "ZipLocalHeaders", "ZipEntryBytes",
       "ZipExtraFields", "Inflater"]
NPY = ["NPYArray", "NPYHeader", "PythonLiteral", "FortranOrderBytes"]
JSON = ["StrictJSON", "StrictJSONParser"]
PICKLE = ["PickleMachine", "PickleMachine+Objects", "PickleMachine+Torch", "PickleInput",
          "PickleOpcode", "PickleGlobal", "PickleValue"]
TORCH = ["PyTorchFormat", "TorchTree", "TorchTensor", "TorchTensorReader", "TorchCall",
         "TorchModule", "TorchNotes", "TorchDType", "StridedLayout", "StridedBytes"]

# The files that are a target's reader.
READERS = {
    "strata": ["StrataFormat", "StrataFormat+Header", "StrataFormat+Reading",
               "StrataFormat+Decoding", "ByteReader", "Deflate"],
    "safetensors": ["SafetensorsFormat", "SafetensorsFormat+Reading", *JSON],
    "index": ["ShardIndex"],
    "npz": ["NPZFormat", *NPY, *ZIP],
    "npy": ["NPYFormat", *NPY],
    "pytorch": ["PyTorchFormat+Zip", *TORCH, *ZIP],
    "torchscript": ["TorchScriptCode"],
    "exported": ["ExportedArchive"],
    "legacy": ["PyTorchFormat+Legacy", "PyTorchFormat+Tar", "TarArchive"],
    "pickle": PICKLE,
    "hdf5": ["HDF5Format", "HDF5Format+Reading", "HDF5File", "HDF5Walk", "HDF5Dataset",
             "HDF5Chunks", "HDF5Extents", "HDF5Attribute", "HDF5GlobalHeap", "HDF5TensorBytes",
             "HDF5+DType", "RowMajorBoxes", "KerasAttributes", "NaturalOrder"],
    "hdf5-answers": ["HDF5HelperProcess", "HDF5Connection", "HDF5Exchange", "HDF5Directory",
                     "HDF5Directory+Coding"],
    "verify": ["Verification", "SealedGoldens", "Evaluation", "EvaluationCall",
               "EvaluationResults"],
}

# What no input can lead to, in the same files, and why.
ELSEWHERE = {
    "only writing calls it":
        r"\.(write|dropped|droppedText|shardLayout|descr)\(|\.header\(of:|\.bytes\(descr:"
        r"|AtomicFile|WriteOptions|ZipWriter|\.compressed\(|\.shuffled\("
        r"|HDF5File\.(init\(creating:|close\()|\.makeHDF5Type|\.makeHalf|\.makeBool"
        r"|TorchDType\.written|\.checksum\(ofChunk:",
    "the tool chooses a format by it":
        r"\.(dropped|droppedText|holdsGoldens|holdsNames|canCompress|canShard|fileExtensions)\b"
        r"|Format\.name\.getter",
    "the process that reads HDF5 apart does it, or starting that process":
        r"HDF5(Directory|Directory\.Entry)\.(encoded|encode)\b|CheckpointError\.encoded"
        r"|ByteWriter\.append\(text:|HDF5Exchange\.(header|seconds|memory)\("
        r"|HDF5Exchange\.Request\.init\(decoding:|HDF5Connection\.init\(reading:"
        r"|HDF5HelperProcess\.(__allocating_)?init\(reading:|processIdentifier|\.openIsolated\(",
}
ELSEWHERE_NAMES = re.compile("|".join(ELSEWHERE.values()))


def profile(fuzzer, work, target):
    """Runs a target over all its inputs."""
    raw = work / f"{target}.profraw"
    merged = work / f"{target}.profdata"
    directories = [work / "corpus" / target, work / "seeds" / target]
    directories.append(ROOT / "fixtures/fuzz" / target)
    directories = [str(path) for path in directories if path.is_dir()]
    environment = dict(
        os.environ, STRATA_FUZZ_TARGET=target, LLVM_PROFILE_FILE=str(raw),
        SWIFT_BACKTRACE="enable=no")
    raw.unlink(missing_ok=True)
    if target == "hdf5":
        # libhdf5 may end a process: each file has one of its own.
        environment["LLVM_PROFILE_FILE"] = f"{raw}-%p"
        for directory in directories:
            for path in sorted(pathlib.Path(directory).iterdir()):
                subprocess.run(
                    [fuzzer, str(path)], env=environment, capture_output=True, check=False)
        raws = sorted(str(path) for path in work.glob("hdf5.profraw-*"))
    else:
        subprocess.run(
            [fuzzer, "-runs=0", "-timeout=60", *directories], env=environment,
            capture_output=True, check=True)
        raws = [str(raw)]
    command = [str(TOOLCHAIN / "llvm-profdata"), "merge", "-sparse", "-failure-mode=all"]
    subprocess.run([*command, *raws, "-o", str(merged)], check=True, capture_output=True)
    for path in raws:
        pathlib.Path(path).unlink()
    return merged, sum(len(list(pathlib.Path(path).iterdir())) for path in directories)


def regions(fuzzer, merged, names):
    """For each file the regions with their counts, without those of ELSEWHERE."""
    files = {path.stem: path for path in (ROOT / "Sources").rglob("*.swift")}
    wanted = {str(files[name]): name for name in names if name in files}
    export = subprocess.run(
        [str(TOOLCHAIN / "llvm-cov"), "export", fuzzer, f"-instr-profile={merged}", *wanted],
        check=True, capture_output=True, text=True).stdout
    functions = json.loads(export)["data"][0]["functions"]
    mangled = "\n".join(function["name"].split(":")[-1] for function in functions)
    demangled = subprocess.run(
        [str(TOOLCHAIN / "swift-demangle"), "-simplified"],
        input=mangled, check=True, capture_output=True,
        text=True).stdout.splitlines()
    found = {name: {} for name in wanted.values()}
    for function, readable in zip(functions, demangled):
        if ELSEWHERE_NAMES.search(readable):
            continue
        for start, column, end, last, count, file, _, kind in function["regions"]:
            name = wanted.get(function["filenames"][file])
            if name is None or kind != 0:
                continue
            place = (start, column, end, last)
            found[name][place] = max(found[name].get(place, 0), count)
    return found


def main():
    programs, work = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    lines = [
        "# What fuzzing reaches",
        "",
        "Made by `tools/fuzz coverage`: each target run over its corpus. Swift's compiler counts",
        "regions, not branches: a region is one way of a branch (the body of an `if`, `else`,",
        "`guard`, `case` or `catch`, the right side of `&&`, `||` and `??`, an arm of `?:`).",
        "",
        "Left out are functions that no input leads to, because",
        *[f"- {reason}," for reason in ELSEWHERE][:-1],
        f"- {list(ELSEWHERE)[-1]}.",
        "",
        "| target | inputs | regions | reached | |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    details, missed, failed = [], [], []
    for target, names in READERS.items():
        fuzzer = str(programs / ("fuzz-verify" if target == "verify" else "fuzz-readers"))
        merged, inputs = profile(fuzzer, work, target)
        found = regions(fuzzer, merged, names)
        total = sum(len(places) for places in found.values())
        reached = sum(count > 0 for places in found.values() for count in places.values())
        share = 100 * reached / max(total, 1)
        if share < GOAL:
            failed.append(target)
        lines.append(f"| {target} | {inputs} | {total} | {reached} | {share:.1f} % |")
        details += ["", f"## {target}", "", "| file | regions | reached | |"]
        details += ["| --- | ---: | ---: | ---: |"]
        for name, places in found.items():
            count = sum(value > 0 for value in places.values())
            part = 100 * count / max(len(places), 1)
            details.append(f"| {name} | {len(places)} | {count} | {part:.1f} % |")
            missed += [f"{target} {name}.swift:{place[0]}:{place[1]}-{place[2]}:{place[3]}"
                       for place, value in sorted(places.items()) if value == 0]
    REPORT.write_text("\n".join(lines + details) + "\n", encoding="utf-8")
    (work / "missed").write_text("\n".join(missed) + "\n", encoding="utf-8")
    print("\n".join(lines[lines.index("| --- | ---: | ---: | ---: | ---: |") - 1:]))
    print(f"What was not reached, place by place: {work}/missed")
    if failed:
        sys.exit(f"below {GOAL} %: {', '.join(failed)}")


if __name__ == "__main__":
    main()
