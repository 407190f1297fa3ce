"""Killed at every system call, and at random moments; told to stop at random moments."""

import random
import signal
import subprocess
import time

from bench import OLD, in_parallel, judge, split_litter, contents
from injected import jobs


def recovers(faults, where, command, new):
    """Runs once more, which must give the new file and leave nothing beside it."""
    done = faults.run([*command, *([] if "--force" in command else ["--force"])], timeout=60)
    if done.returncode != 0 or contents(where) != new:
        return f"the next run: status {done.returncode}, {list(contents(where))} {done.stderr}"
    return None


def at_every_call(faults):
    """Small conversions, killed before and after each of their system calls."""
    step = 29 if faults.quick else 1

    def sweep(job):
        name, command, old, new = job
        count, failures, litter = 0, [], 0
        number = random.Random(name).randint(1, step)
        while True:
            where = faults.directory()
            for file, bytes in old.items():
                (where / file).write_bytes(bytes)
            done = faults.run([faults.killer, str(number), *command(where)], timeout=60)
            if done.stdout.strip().endswith(b"ended"):
                return count, failures, litter
            count += 1
            wrong = judge(done, where, old, new, killed=True)
            if done.returncode != 0:
                wrong = f"the tracer: {done}"
            if not wrong and split_litter(contents(where))[1]:
                litter += 1
                wrong = recovers(faults, where, command(where), new)
            if wrong:
                failures.append(f"{name} at stop {number}: {wrong}")
            for path in where.iterdir():
                path.unlink()
            where.rmdir()
            number += step

    sweeps = in_parallel(sweep, list(jobs(faults)))
    faults.count(
        "Killed at every system call of small conversions", sum(s[0] for s in sweeps),
        [failure for s in sweeps for failure in s[1]],
        f"{sum(s[2] for s in sweeps)} left a hidden file, which the next run removed")


def at_random_moments(faults):
    """A larger conversion that gets a signal some time."""
    source = faults.large_input(32)
    rounds = 40 if faults.quick else 1000
    targets = ["out.strata", "out.h5", "out.npz", "out.pt", "out.safetensors"]
    wanted, times = {}, {}
    for target in targets:
        start = time.monotonic()
        wanted[target] = faults.wanted(target, [], source)
        times[target] = time.monotonic() - start
    generator = random.Random(6)

    def attempt(number, kind):
        target = targets[number % len(targets)]
        where = faults.directory()
        old = {target: OLD} if number % 2 else {}
        for file, bytes in old.items():
            (where / file).write_bytes(bytes)
        command = faults.conversion(where / target, [], source, force=bool(old))
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        time.sleep(generator.uniform(0, times[target]))
        # A machine is not equally busy all the time: most signals are to come before the end.
        times[target] *= 1.02 if process.poll() is None else 0.9
        process.send_signal(kind)
        output, errors = process.communicate(timeout=60)
        done = subprocess.CompletedProcess(command, process.returncode, output, errors)
        new = wanted[target]
        wrong = judge(done, where, old, new, killed=True)
        files, litter = split_litter(contents(where))
        if kind == signal.SIGKILL:
            if not wrong and litter:
                wrong = recovers(faults, where, command, new)
        elif not wrong:
            # Before the program handles signals, one ends it as the system does.
            status = {128 + kind, -kind, 0}
            if done.returncode not in status:
                wrong = f"status {done.returncode}: {errors}"
            elif litter:
                wrong = f"left {litter}"
            elif done.returncode == 0 and files != new:
                wrong = "status 0, but the target is not new"
        for path in where.iterdir():
            path.unlink()
        where.rmdir()
        came = done.returncode != 0
        return came, f"{kind.name} {target}: {wrong}" if wrong else None

    for kind, words in [
        (signal.SIGKILL, "Killed at random moments of a 32 MiB conversion"),
        (signal.SIGINT, "Interrupted at random moments: status 130, nothing left"),
        (signal.SIGTERM, "Terminated at random moments: status 143, nothing left")]:
        count = rounds if kind == signal.SIGKILL else rounds // 4
        results = [attempt(number, kind) for number in range(count)]
        came = sum(result[0] for result in results)
        faults.count(
            words, count, [result[1] for result in results if result[1]],
            f"{count - came} had come to their end before")
