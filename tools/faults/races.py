"""Several writers of one target, started at the same moment."""

import json
import os
import subprocess

from bench import OLD, contents

#: Conversions that give different bytes.
VARIANTS = [
    [*dtype, *compression] for compression in ([], ["--compress", "deflate"])
    for dtype in ([], ["--dtype", "F64"], ["--dtype", "F16"], ["--dtype", "BF16"])]


def race(faults, where, commands):
    """Runs commands at once; gives their statuses and outputs."""
    gate, opening = os.pipe()
    processes = [
        subprocess.Popen(
            ["sh", "-c", f'read _ <&{gate}; exec "$0" "$@"', *command], stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, pass_fds=[gate])
        for command in commands]
    os.close(opening)
    os.close(gate)
    return [(process.communicate(timeout=60)[0], process.returncode) for process in processes]


def races(faults):
    rounds = 25 if faults.quick else 1000
    for target in ["out.strata", "out.h5"]:
        wanted = [faults.wanted(target, options)[target] for options in VARIANTS]
        assert len(set(wanted)) == len(wanted)
        for writers in (2, 8):
            for force in (False, True):
                failures, met = [], 0
                for number in range(rounds if target == "out.strata" else rounds // 5):
                    where = faults.directory()
                    if force and number % 2:
                        (where / target).write_bytes(OLD)
                    variants = [(number + i) % len(VARIANTS) for i in range(writers)]
                    results = race(faults, where, [
                        faults.conversion(where / target, VARIANTS[i], force=force)
                        for i in variants])
                    files = contents(where)
                    winners = [i for i, (_, status) in zip(variants, results) if status == 0]
                    codes = [json.loads(output)["error"]["code"]
                             for output, status in results if status != 0]
                    met += len(winners) > 1 or "exists" in codes
                    good = (
                        list(files) == [target] and files[target] in [wanted[i] for i in winners]
                        and (len(winners) == writers if force else
                             len(winners) == 1 and set(codes) == {"exists"}))
                    if not good:
                        failures.append(f"{list(files)} winners {winners} codes {codes}")
                    for path in where.iterdir():
                        path.unlink()
                    where.rmdir()
                faults.count(
                    f"{'Two' if writers == 2 else 'Eight'} writers of one {target[3:]} file"
                    + (" with --force: a whole file" if force
                       else ": one winner, the others told that it exists"),
                    rounds if target == "out.strata" else rounds // 5, failures)
