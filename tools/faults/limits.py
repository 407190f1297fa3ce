"""A full disk, a limit on the size of files, a limit on memory."""

import os
import resource
import subprocess
import sys
from pathlib import Path

from bench import OLD, TARGETS, contents, in_parallel, judge, split_litter
from killed import recovers


def cases(faults, source=None):
    for name, (target, options) in TARGETS.items():
        new = faults.wanted(target, options, source)
        for force in (False, True):
            yield name, target, options, {target: OLD} if force else {}, new


def attempt(faults, where, case, limit, source=None, mayCrash=False):
    """Runs under limits, which `limit` sets in the new process."""
    name, target, options, old, new = case
    for file, bytes in old.items():
        (where / file).write_bytes(bytes)
    command = faults.conversion(where / target, options, source, force=bool(old))
    done = faults.run(command, preexec_fn=limit, timeout=120)
    wrong = judge(done, where, old, new, killed=mayCrash)
    if mayCrash and not wrong and split_litter(contents(where))[1]:
        wrong = recovers(faults, where, command, new)
    for path in where.iterdir():
        path.unlink()
    return done.returncode, f"{name}: {wrong}" if wrong else None


def file_sizes(faults):
    def sweep(case):
        where = faults.directory()
        largest = max(len(bytes) for bytes in case[4].values())
        step = largest // (8 if faults.quick else 120) + 1
        results = []
        for size in range(0, largest + step, step):
            def limit(size=size):
                resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
            status, wrong = attempt(faults, where, case, limit)
            if not wrong and (status == 0) != (size >= largest):
                wrong = f"{case[0]}: status {status} with a limit of {size} of {largest}"
            results.append(wrong)
        return results

    results = [r for sweep in in_parallel(sweep, list(cases(faults))) for r in sweep]
    faults.count(
        "A limit on the size of files (RLIMIT_FSIZE), up to the file's size", len(results),
        [r for r in results if r])


def memory(faults):
    """A cap on address space: from nothing until it is enough."""
    source = faults.large_input(32)

    def sweep(case):
        where = faults.directory()
        results = []
        size, status = 4 << 20, 1
        while status != 0 and size < 4 << 30:
            def limit(size=size):
                resource.setrlimit(resource.RLIMIT_AS, (size, size))
                resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            status, wrong = attempt(faults, where, case, limit, source, mayCrash=True)
            results.append((status, wrong))
            size += (64 if faults.quick else 8) << 20
        return results

    results = [r for sweep in in_parallel(sweep, list(cases(faults, source))) for r in sweep]
    errors = sum(r[0] == 2 for r in results)
    came = sum(r[0] == 0 for r in results)
    faults.count(
        "A cap on memory (RLIMIT_AS), from 4 MiB until it is enough", len(results),
        [r[1] for r in results if r[1]],
        f"{came} came through, {errors} ended with an error, the others at once")


def full_disk(faults):
    """Runs `inside_full_disk` where a file system of 1 MiB may be mounted."""
    what = "A disk of 1 MiB with ever more room on it"
    done = subprocess.run(
        ["unshare", "-Urm", sys.executable, __file__, faults.strata, str(faults.build),
         str(int(faults.quick))], capture_output=True, text=True)
    if done.returncode != 0:
        return faults.skip(what, done.stderr.strip().splitlines()[-1:] or "unshare is missing")
    lines = done.stdout.splitlines()
    faults.count(what, int(lines[0]), lines[1:])


def inside_full_disk(faults):
    where = faults.directory()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(where)], check=True)
    target = where / "target"
    target.mkdir()
    source = str(faults.root / "medium.safetensors")
    header = b'{"w":{"dtype":"F32","shape":[300,256],"data_offsets":[0,307200]}}     '
    header += b" " * (-len(header) % 8)
    Path(source).write_bytes(len(header).to_bytes(8, "little") + header + os.urandom(307200))
    step = (64 if faults.quick else 4) << 10
    results = []
    for case in cases(faults, source):
        for room in range(0, 400 << 10, step):
            filler = where / "filler"
            old = sum(len(bytes) for bytes in case[3].values())
            status = os.statvfs(where)
            left = status.f_bavail * status.f_bsize - room - (old and 4096)
            filler.write_bytes(bytes(left))
            results.append(attempt(faults, target, case, lambda: None, source)[1])
            filler.unlink()
    print(len(results), *[r for r in results if r], sep="\n")


if __name__ == "__main__":
    from bench import Faults

    inside = Faults(sys.argv[1], sys.argv[2], quick=sys.argv[3] == "1")
    inside_full_disk(inside)
