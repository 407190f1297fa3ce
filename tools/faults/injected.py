"""One system call of each kind fails in turn, in every way, until the run comes through."""

import itertools

from bench import OLD, OLD_SHARDS, SHARDS, TARGETS, in_parallel, judge

#: What can go wrong with which call: kinds of the preloaded library, and whether all later calls of
#: that kind fail as well.
FAULTS = [
    ("write", "ENOSPC", True), ("write", "EIO", False), ("write", "EINTR", False),
    ("write", "short", False), ("write", "short", True), ("write", "ENOSPC", False),
    ("sync", "EIO", False), ("sync", "ENOSPC", False), ("sync", "EINTR", False),
    ("rename", "EIO", False), ("rename", "ENOSPC", False), ("rename", "EINVAL", True),
    ("rename", "EACCES", False), ("create", "ENOSPC", False), ("create", "EIO", False),
    ("create", "EINTR", False), ("create", "EACCES", True), ("open", "EIO", False),
    ("open", "EINTR", False), ("open", "EMFILE", True), ("close", "EIO", False),
    ("close", "EINTR", False), ("close", "ENOSPC", True), ("reserve", "ENOSPC", False),
    ("reserve", "EINTR", False), ("reserve", "EIO", False), ("reserve", "EOPNOTSUPP", True),
    ("chmod", "EPERM", False), ("read", "EIO", False),
    ("read", "EINTR", False), ("read", "short", False), ("read", "short", True),
]


def jobs(faults):
    """What is tried: name, arguments for a directory, file names before, files after."""
    for (name, (target, options)), force in itertools.product(TARGETS.items(), (False, True)):
        new = faults.wanted(target, options)
        old = {target: OLD} if force else {}
        yield name, lambda where, t=target, o=options, f=force: faults.conversion(
            where / t, o, force=f), old, new
    target, options = SHARDS
    new = faults.wanted(target, options)
    old = faults.wanted(target, OLD_SHARDS)
    assert len(new) > 2 and set(old) == set(new), (list(old), list(new))
    for before in ({}, old):
        yield "shards", lambda where, t=target, o=options, f=bool(before): faults.conversion(
            where / t, o, force=f), before, new

    def running(where):
        return [faults.strata, "run", faults.input, "--input", faults.golden, "--output",
                str(where / "out.h5"), "--json", "--force"]

    first = faults.directory()
    assert faults.run(running(first)).returncode == 0
    yield "results of run", running, {"out.h5": OLD}, {
        "out.h5": (first / "out.h5").read_bytes()}


def attempt(faults, command, old, new, fault, number):
    """Runs once with one fault; tells whether it came, and what is wrong."""
    call, kind, stays = fault
    where = faults.directory()
    for name, bytes in old.items():
        (where / name).write_bytes(bytes)
    mark = where.parent / (where.name + ".mark")
    environment = {
        "LD_PRELOAD": faults.shim, "FAULT_DIR": str(where), "FAULT_CALL": call,
        "FAULT_KIND": kind, "FAULT_AT": str(number), "FAULT_MARK": str(mark)}
    if stays:
        environment["FAULT_STAYS"] = "1"
    done = faults.run(command(where), environment, timeout=60)
    wrong = judge(done, where, old, new)
    # What is written or read in parts, and what a signal interrupts, must come through. (libhdf5
    # does not open again.)
    again = {"write", "read", "reserve"} | (set() if "out.h5" in new else {"create", "open"})
    harmless = kind == "short" or kind == "EINTR" and call in again
    if not wrong and harmless and done.returncode != 0:
        wrong = f"gave up: {done.stderr}"
    came = mark.exists()
    if came:
        mark.unlink()
    for path in where.iterdir():
        path.unlink()
    where.rmdir()
    return came, wrong


def injected(faults):
    kinds = [f for f in FAULTS if not faults.quick or (f[0], f[1]) in {
        ("write", "ENOSPC"), ("sync", "EIO"), ("rename", "EIO"), ("create", "EIO"),
        ("open", "EIO"), ("close", "EIO"), ("reserve", "ENOSPC"), ("write", "short"),
        ("write", "EINTR"), ("create", "EINTR")}]

    def sweep(item):
        (name, command, old, new), fault = item
        count, failures = 0, []
        came = True
        while came and count < 2000:
            came, wrong = attempt(faults, command, old, new, fault, count + 1)
            if wrong:
                failures.append(f"{name}: {fault} at {count + 1}: {wrong}")
            count += came or bool(wrong)
        return fault[0], count, failures

    sweeps = in_parallel(sweep, itertools.product(jobs(faults), kinds))
    names = {
        "write": "Failing, interrupted and partial writes",
        "sync": "Failing syncs of file and directory",
        "rename": "Failing renames", "create": "Files that cannot be created",
        "open": "Files and directories that cannot be opened", "close": "Failing closes",
        "reserve": "Failing reservations of disk space",
        "chmod": "Failing changes of permission bits", "read": "Failing and partial reads"}
    for call, words in names.items():
        mine = [sweep for sweep in sweeps if sweep[0] == call]
        if mine:
            failures = [failure for sweep in mine for failure in sweep[2]]
            faults.count(
                f"{words}, every call in turn", sum(sweep[1] for sweep in mine), failures)
