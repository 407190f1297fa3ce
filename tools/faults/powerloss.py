"""Power failures: recorded writes are replayed up to every moment, without what was not synced, or
with some of it.

What is on the disk after a failure: every byte and name that was synced; of the later writes any,
each perhaps in part; of the later changes of a directory any, in their order.
(After ALICE: Pillai et al., All File Systems Are Not Created Equal, OSDI 2014.)
"""

import itertools
import random

from bench import OLD, OLD_SHARDS, SHARDS, TARGETS, in_parallel, torn


class Disk:
    """Files by number with what is certainly on the disk and what may be, and a directory alike."""

    def __init__(self, old):
        self.durable = {}
        self.pending = {}
        self.names = {}
        self.changes = []
        for number, (name, bytes) in enumerate(old.items()):
            self.durable[-number - 1] = bytes
            self.pending[-number - 1] = []
            self.names[name] = -number - 1
        self.live = dict(self.names)
        self.directories = set()

    def follow(self, line):
        """Does what a line of the record tells."""
        word, *rest = line.split(" ")
        base = [path.rsplit("/", 1)[-1] for path in rest]
        if word == "directory":
            self.directories.add(rest[0])
        elif word == "create" and int(rest[0]) not in self.durable:
            self.durable[int(rest[0])] = b""
            self.pending[int(rest[0])] = []
            self.change(base[1], int(rest[0]))
        elif word == "write":
            self.pending[int(rest[0])].append((int(rest[1]), bytes.fromhex(rest[2])))
        elif word == "truncate":
            self.pending[int(rest[0])].append((int(rest[1]), None))
        elif word == "sync" and rest[0] in self.directories:
            for change in self.changes:
                self.apply(self.names, change)
            self.changes = []
        elif word == "sync":
            number = int(rest[0])
            self.durable[number] = self.content(number, self.pending[number])
            self.pending[number] = []
        elif word == "rename":
            number = self.live.get(base[0])
            self.change(base[0], None)
            self.change(base[1], number)
        elif word == "link":
            self.change(base[1], self.live.get(base[0]))
        elif word == "unlink" and base[0] in self.live:
            self.change(base[0], None)

    def change(self, name, number):
        self.changes.append((name, number))
        self.apply(self.live, (name, number))

    @staticmethod
    def apply(names, change):
        name, number = change
        if number is None:
            names.pop(name, None)
        else:
            names[name] = number

    def content(self, number, writes):
        content = bytearray(self.durable[number])
        for offset, data in writes:
            if data is None:
                content[offset:] = bytes(max(0, offset - len(content)))
            else:
                content.extend(bytes(max(0, offset + len(data) - len(content))))
                content[offset:offset + len(data)] = data
        return bytes(content)

    def states(self, generator, count):
        """What may be found afterwards: names with contents."""
        selections = [
            lambda items: [], lambda items: items,
            *[lambda items: [i for i in items if generator.random() < 0.5]] * count]
        for names_of, writes_of in itertools.product(selections, selections):
            names = dict(self.names)
            for change in names_of(self.changes):
                self.apply(names, change)
            found = {}
            for name, number in names.items():
                writes = [
                    (offset, data) if data is None or generator.random() < 0.7
                    else (offset, data[:generator.randint(0, len(data))])
                    for offset, data in writes_of(self.pending[number])]
                found[name] = self.content(number, writes)
            yield found


def named(files):
    return {name: content for name, content in files.items() if not name.startswith(".")}


def power_loss(faults):
    cases = [(name, target, options) for name, (target, options) in TARGETS.items()]
    cases.append(("shards", *SHARDS))

    def sweep(item):
        (name, target, options), force = item
        generator = random.Random(f"{name} {force}")
        new = faults.wanted(target, options)
        where = faults.directory()
        old = {}
        if force:
            # An old checkpoint of the same names.
            old = {target: OLD}
            if name == "shards":
                old = faults.wanted(target, OLD_SHARDS)
        for file, content in old.items():
            (where / file).write_bytes(content)
        record = faults.root / f"{name} {force}.record"
        done = faults.run(
            faults.conversion(where / target, options, force=force),
            {"LD_PRELOAD": faults.shim, "FAULT_DIR": str(where), "FAULT_LOG": str(record)})
        assert done.returncode == 0, done
        lines = record.read_text().splitlines()
        disk = Disk(old)
        count, failures = 0, []
        for step in range(len(lines) + 1):
            for found in disk.states(generator, 2 if faults.quick else 8):
                count += 1
                wrong = torn(named(found), old, new)
                if wrong:
                    failures.append(f"{name}, force {force}, before step {step}: {wrong}")
            if step < len(lines):
                disk.follow(lines[step])
        # What the program said is done must be there.
        for found in disk.states(generator, 8):
            if named(found) != new:
                failures.append(f"{name}, force {force}: done, but not on the disk")
        return count, failures

    sweeps = in_parallel(sweep, itertools.product(cases, (False, True)))
    faults.count(
        "Power failures: every moment, without or with parts of what was not synced",
        sum(s[0] for s in sweeps), [failure for s in sweeps for failure in s[1]])
