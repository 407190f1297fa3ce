"""The input is cut or changed by somebody else at every one of its reads."""

import os
import subprocess

from bench import TARGETS, contents, in_parallel


def changes(faults):
    inputs = []
    for name, (target, options) in TARGETS.items():
        (content,) = faults.wanted(target, options).values()
        inputs.append((name, target, content))

    def sweep(item):
        (name, target, content), kind = item
        where = faults.directory()
        source, result = where / "input" / target, where / "result"
        source.parent.mkdir()
        result.mkdir()
        source.write_bytes(content)
        wanted = None
        count, failures = 0, []
        while count < 2000:
            source.write_bytes(content)
            # Long ago: the change is a change to whoever looks at the time.
            os.utime(source, (1_000_000_000, 1_000_000_000))
            mark = where / "mark"
            environment = {
                "LD_PRELOAD": faults.shim, "FAULT_DIR": str(source.parent), "FAULT_CALL": "read",
                "FAULT_KIND": kind, "FAULT_AT": str(count + 1), "FAULT_INPUT": str(source),
                "FAULT_MARK": str(mark)}
            if wanted is None:
                faults.run(faults.conversion(result / "out.strata", [], str(source)))
                wanted = contents(result)
                (result / "out.strata").unlink()
            done = faults.run(
                faults.conversion(result / "out.strata", [], str(source)), environment, timeout=60)
            if not mark.exists():
                return count, failures
            mark.unlink()
            count += 1
            found = contents(result)
            if done.returncode == 0 and found == wanted:
                (result / "out.strata").unlink()
            elif done.returncode != 2 or found:
                failures.append(
                    f"{name}, {kind} at read {count}: status {done.returncode}, {list(found)}")
                for path in result.iterdir():
                    path.unlink()
        return count, failures

    sweeps = in_parallel(sweep, [(i, kind) for i in inputs for kind in ("cut", "change")])
    faults.count(
        "The input cut or changed by others at every read: an error, or the old content",
        sum(s[0] for s in sweeps), [failure for s in sweeps for failure in s[1]])
