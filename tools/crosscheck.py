#!/usr/bin/env python3
"""Random models, run by PyTorch and by Strata: do they agree?

Each model is made by live torch from the seed and its number, exported with export_pytorch.py,
converted with `strata convert` and verified with `strata verify`, in float32 and in the float64
reference. Weights come from PyTorch's default initialisation. For the reference every float64
value is to be within 1e-12 of PyTorch's.

    python tools/crosscheck.py .build/release/strata
    python tools/crosscheck.py .build/release/strata --seed 7 --only 31     one model again
    python tools/crosscheck.py .build/release/strata --recorded fixtures/crosscheck

The last takes models that --keep kept; it needs Python alone, neither torch nor h5py.

    python tools/crosscheck.py .build/release/strata --formats 20 [--markdown]

instead makes 20 random checkpoints of every variant, converts each into every format, and has the
framework itself read the result; crosscheck_formats.py says how.

Exit status 1 where they do not agree; the files of those models are kept, with what was run.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import warnings

PARTS = ("lengths", "intermediates", "embedding", "cells", "chains")
REFERENCE_LIMIT = 1e-12


def import_torch():
    """Import what only making models needs; it takes a while, and not everyone has it."""
    global torch, nn, pack_padded_sequence, pad_packed_sequence, exporter, KINDS, CELLS
    import torch
    from torch import nn
    from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    import export_pytorch as exporter
    KINDS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
    CELLS = {"rnn": nn.RNNCell, "lstm": nn.LSTMCell, "gru": nn.GRUCell}
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", "LSTM with projections is not supported with oneDNN")


def make_network(stacks, embedding=None, head=None, head_input="all", activation="none"):
    """An nn.Module: embedding?, one or more stacks, head?

    Its forward takes
    x        as the first stack takes it, or tokens without the last dimension
    lengths  int64 [N] or None
    state    of the first stack, or None
    """

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = embedding
            self.stacks = nn.ModuleList(stacks)
            self.head = head

        def forward(self, x, lengths=None, state=None):
            first = self.stacks[0].batch_first
            x = x if self.embedding is None else self.embedding(x)
            if lengths is not None:
                x = pack_padded_sequence(x, lengths, first, enforce_sorted=False)
            for stack in self.stacks:
                x, final = stack(x, state)
                state = None
            if lengths is not None:
                x, _ = pad_packed_sequence(x, first)
            if self.head is None:
                return x, final
            if head_input == "last" and lengths is None:
                x = x[:, -1] if first and x.dim() == 3 else x[-1]
            elif head_input == "last":
                lanes = torch.arange(len(lengths))
                x = x[lanes, lengths - 1] if first else x[lengths - 1, lanes]
            elif head_input == "h_n":
                h_n = final[0] if isinstance(final, tuple) else final
                x = torch.cat((h_n[-2], h_n[-1]), dim=-1) if stack.bidirectional else h_n[-1]
            return exporter.ACTIVATIONS[activation](self.head(x))

    return Network()


class Case:
    """A random model, arguments for it, and a line that says what it is."""

    def __init__(self, seed, number, parts):
        self.random = random.Random(f"{seed}/{number}")
        torch.manual_seed(self.random.randrange(2**31))
        self.options = {"intermediates": self.chance("intermediates" in parts, 0.25)}
        self.activation = None  # of the head, where there is one
        if self.chance("cells" in parts, 0.1):
            self.make_cell()
        else:
            self.make_model(parts)

    def chance(self, allowed, share):
        # Drawn in any case: the other choices do not depend on what is allowed.
        return self.random.random() < share and allowed

    def size(self):
        """1 to 80, small sizes more often."""
        return self.random.randint(1, self.random.choice((3, 8, 33, 80)))

    def make_cell(self):
        kind = self.random.choice(list(CELLS))
        options = {"bias": self.random.random() < 0.8}
        if kind == "rnn":
            options["nonlinearity"] = self.random.choice(("tanh", "relu"))
        inputs, hidden = self.size(), self.size()
        self.model = CELLS[kind](inputs, hidden, **options)
        lanes = (self.random.randint(1, 6),) if self.random.random() < 0.8 else ()
        self.args = (torch.randn(lanes + (inputs,)),)
        if self.random.random() < 0.7:
            state = torch.randn((2,) + lanes + (hidden,))
            self.args += ((state[0], state[1]) if kind == "lstm" else state[0],)
        self.name = f"{self.model} x{list(lanes)} {len(self.args) - 1} state"

    def make_stack(self, inputs, batch_first):
        kind = self.random.choice(list(KINDS))
        hidden, layers = self.size(), self.random.randint(1, 3)
        options = {"bias": self.random.random() < 0.8, "batch_first": batch_first,
                   "bidirectional": self.random.random() < 0.4,
                   "dropout": 0.3 if layers > 1 and self.random.random() < 0.2 else 0.0}
        if kind == "rnn":
            options["nonlinearity"] = self.random.choice(("tanh", "relu"))
        if kind == "lstm" and hidden > 1 and self.random.random() < 0.3:
            options["proj_size"] = self.random.randint(1, hidden - 1)
        return KINDS[kind](inputs, hidden, layers, **options)

    def make_model(self, parts):
        chance = self.random.random
        steps, lanes = self.random.randint(1, 12), self.random.choice((1, 2, 3, 5, 17))
        batch_first, is_batched = chance() < 0.4, chance() < 0.85
        stacks = [self.make_stack(self.size(), batch_first)]
        if self.chance("chains" in parts, 0.15):
            stacks.append(self.make_stack(width(stacks[0]), batch_first))
        characters = self.random.randint(2, 40)
        embedding = None
        if self.chance("embedding" in parts, 0.2):
            embedding = nn.Embedding(characters, stacks[0].input_size)
        head, head_input = None, self.random.choice(("all", "last", "h_n"))
        activation = self.random.choice(list(exporter.ACTIVATIONS))
        if chance() < 0.5:
            head = nn.Linear(width(stacks[-1]), self.size(), bias=chance() < 0.9)
        is_bare = not head and not embedding and len(stacks) == 1 and chance() < 0.5
        self.model = stacks[0] if is_bare else make_network(
            stacks, embedding, head, head_input, activation)
        shape = (steps,) if not is_batched else (lanes, steps) if batch_first else (steps, lanes)
        x = (torch.randint(characters, shape) if embedding else
             torch.randn(shape + (stacks[0].input_size,)))
        lengths = None
        if self.chance("lengths" in parts and is_batched, 0.3):
            lengths = torch.tensor([self.random.randint(1, steps) for _ in range(lanes)])
        state = self.state(stacks[0], lanes if is_batched else None) if chance() < 0.4 else None
        if is_bare and lengths is not None:
            x = pack_padded_sequence(x, lengths, batch_first, enforce_sorted=False)
        self.args = (x, state) if is_bare else (x, lengths, state)
        self.name = " → ".join(
            ([f"Embedding({characters})"] if embedding else []) + [str(stack) for stack in stacks]
            + ([f"{head_input} Linear({head.out_features}) {activation}"] if head else []))
        self.name += f", x {list(shape)}" + (", with state" if state is not None else "")
        self.name += f", lengths {lengths.tolist()}" if lengths is not None else ""
        self.activation = activation if head else None

    def state(self, stack, lanes):
        rows = stack.num_layers * (2 if stack.bidirectional else 1)
        shape = (rows,) if lanes is None else (rows, lanes)
        h_0 = torch.randn(shape + (stack.proj_size or stack.hidden_size,))
        is_lstm = isinstance(stack, nn.LSTM)
        return (h_0, torch.randn(shape + (stack.hidden_size,))) if is_lstm else h_0


def width(stack):
    """The features of a stack's output."""
    return (stack.proj_size or stack.hidden_size) * (2 if stack.bidirectional else 1)


def run(log, *command):
    """(exit status, standard output) of a command, which is added to `log` with what it says."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    log.append(" ".join(command) + f"\nexit status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.returncode, done.stdout


def make(case, folder):
    """Write a model into `folder`: model.h5, golden.h5, and case.json, what the model is.

    Returns what is wrong with the exporter's result, in a few words, or None.
    """
    settings = []
    try:
        facts = exporter.export(case.model, os.path.join(folder, "model.h5"), case.args,
                                golden=os.path.join(folder, "golden.h5"), **case.options)["facts"]
    except exporter.ExportError as error:
        return f"export: {error}"
    if case.activation:
        if facts.get("head", "none") == "none":
            return "export did not recognise the head"
        if "head_activation" not in facts:  # numbers by which it cannot be told
            settings = ["--set", f"head_activation={case.activation}"]
    with open(os.path.join(folder, "case.json"), "w", encoding="utf-8") as file:
        json.dump({"name": case.name, "options": settings}, file, ensure_ascii=False, indent=1)
        file.write("\n")
    return None


def check(strata, folder, converted, log):
    """What Strata does otherwise than PyTorch with the model in `folder`; in a few words, or None.

    converted  the file that is made of it
    """
    with open(os.path.join(folder, "case.json"), encoding="utf-8") as file:
        options = json.load(file)["options"]
    model, golden = (os.path.join(folder, name) for name in ("model.h5", "golden.h5"))
    status, _ = run(log, strata, "convert", model, converted, *options)
    if status:
        return f"convert: exit status {status}"
    for precision in ("float32", "reference"):
        status, text = run(log, strata, "verify", converted, golden, "--json",
                           "--precision", precision)
        if status:
            return f"verify in {precision}: exit status {status}"
        if precision == "reference":
            errors = {row["name"]: row["max_abs"] for row in json.loads(text)["tensors"]
                      if row["reference"] == "float64"}
            wrong = {name: error for name, error in errors.items()
                     if not (isinstance(error, (int, float)) and error <= REFERENCE_LIMIT)}
            if wrong or not errors:
                return f"reference: {wrong or 'nothing in float64 was compared'}"
    return None


def check_made(strata, args, parts):
    """Make the models and check them; returns how many agree, and of how many."""
    import_torch()
    numbers = args.only or range(args.models)
    kept = args.keep or tempfile.mkdtemp(prefix="strata-crosscheck-")
    agree = 0
    for number in numbers:
        case, log = Case(args.seed, number, parts), []
        folder = os.path.join(kept, f"seed-{args.seed}-model-{number}")
        converted = os.path.join(folder, "model.strata")
        os.makedirs(folder, exist_ok=True)
        failure = make(case, folder) or check(strata, folder, converted, log)
        agree += not failure
        if failure:
            print(f"model {number}: {failure}\n  {case.name}\n  {folder}")
            with open(os.path.join(folder, "log.txt"), "w", encoding="utf-8") as file:
                file.write("\n".join([case.name, failure, *log]))
        elif args.list:
            print(f"model {number}: {case.name}")
        if not failure and args.keep:
            os.remove(converted)
        elif not failure:
            shutil.rmtree(folder)
    if not args.keep and not os.listdir(kept):
        os.rmdir(kept)
    return agree, len(numbers)


def check_recorded(strata, recorded, is_listed):
    """Check the models that are kept below `recorded`; returns as `check_made`."""
    folders = sorted(entry.path for entry in os.scandir(recorded) if entry.is_dir())
    agree = 0
    for folder in folders:
        log = []
        with open(os.path.join(folder, "case.json"), encoding="utf-8") as file:
            name = json.load(file)["name"]
        with tempfile.TemporaryDirectory() as elsewhere:
            failure = check(strata, folder, os.path.join(elsewhere, "model.strata"), log)
        agree += not failure
        if failure:
            print("\n".join([f"{folder}: {failure}", f"  {name}", *log]))
        elif is_listed:
            print(f"{folder}: {name}")
    return agree, len(folders)


def check_formats(strata, args):
    """Checkpoints instead of models; returns the exit status."""
    import crosscheck_formats
    import torch
    matrix = crosscheck_formats.crosscheck(strata, args.formats, args.seed, args.only, args.keep)
    crosscheck_formats.print_matrix(matrix, args.markdown)
    cells = [cell for row in matrix.values() for cell in row.values()]
    agree, count = (sum(cell[place] for cell in cells) for place in (0, 1))
    print(f"{agree} of {count} agree (seed {args.seed}, PyTorch {torch.__version__})")
    return 0 if agree == count > 0 else 1


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("strata", metavar="STRATA", help="the executable")
    parser.add_argument("--models", metavar="N", type=int, default=200,
                        help="how many models (default 200)")
    parser.add_argument("--seed", metavar="S", type=int, default=1, help="default 1")
    parser.add_argument("--only", metavar="I", type=int, action="append",
                        help="the model with this number alone; repeatable")
    parser.add_argument("--with", dest="parts", metavar="PARTS", default=",".join(PARTS),
                        help=f"what models may have, with commas: {', '.join(PARTS)}; default all "
                             "of them, '' for none")
    parser.add_argument("--keep", metavar="FOLDER", help="keep the files of every model there")
    parser.add_argument("--recorded", metavar="FOLDER",
                        help="make no models: check those that --keep kept there")
    parser.add_argument("--formats", metavar="COUNT", type=int,
                        help="make no models: checkpoints in every format")
    parser.add_argument("--markdown", action="store_true", help="print that table in Markdown")
    parser.add_argument("--list", action="store_true", help="print what each model is")
    args = parser.parse_args()
    parts = [part for part in args.parts.split(",") if part]
    if set(parts) - set(PARTS):
        parser.error(f"--with {args.parts}: expected {', '.join(PARTS)}")
    strata = os.path.abspath(args.strata)
    if not os.path.isfile(strata):
        parser.error(f"{args.strata}: no such file")
    if args.formats:
        return check_formats(strata, args)
    if args.recorded:
        if not os.path.isdir(args.recorded):
            parser.error(f"{args.recorded}: no such folder")
        agree, count = check_recorded(strata, args.recorded, args.list)
        print(f"{agree} of {count} agree")
    else:
        agree, count = check_made(strata, args, parts)
        print(f"{agree} of {count} agree (seed {args.seed}, PyTorch {torch.__version__})")
    return 0 if agree == count > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
