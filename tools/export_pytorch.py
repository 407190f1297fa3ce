#!/usr/bin/env python3
"""Export a PyTorch recurrent model, and what it computes, for Strata.

From a training script:

    from export_pytorch import export
    export(model, "model.h5", example_input)

On the command line: python export_pytorch.py --help

Two HDF5 files come of it. The model file holds every tensor of the state dict, bit for bit, with
the options of its modules. The golden file holds what PyTorch computed for the example: inputs,
initial states, outputs and final states of each recurrent module, recorded at its real call in
the forward pass, in float32 and again in float64. `strata verify` compares the Swift result with
them. Needs torch >= 2.0 and h5py, nothing else.
"""

import argparse
import contextlib
import copy
import importlib
import importlib.util
import itertools
import json
import os
import pickle
import sys

import h5py
import numpy as np
import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

EXPORTER = "strata export_pytorch 1"

STACKS = (nn.RNN, nn.LSTM, nn.GRU)
CELLS = (nn.RNNCell, nn.LSTMCell, nn.GRUCell)
OPTIONS = {
    **dict.fromkeys(STACKS, ("mode", "input_size", "hidden_size", "num_layers", "bias",
                             "batch_first", "dropout", "bidirectional", "proj_size")),
    **dict.fromkeys(CELLS, ("input_size", "hidden_size", "bias")),
    nn.Linear: ("in_features", "out_features", "bias"),
    nn.Embedding: ("num_embeddings", "embedding_dim"),
}
MODES = {nn.LSTMCell: "LSTM", nn.GRUCell: "GRU"}
ACTIVATIONS = {
    "none": lambda x: x,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "softmax": lambda x: torch.softmax(x, dim=-1),
}
RESERVED = ("strata_modules", "torch_version", "exporter", "seed", "head", "head_input",
            "head_activation", "embedding", "chain")


class ExportError(ValueError):
    """The model holds something that cannot be exported; the message names it."""


def export(model, path, example_input=None, *, golden=None, example_kwargs=None, metadata=None,
           seed=None, intermediates=False):
    """Write `model` to the HDF5 file `path` and what it computes to a golden file beside it.

    model          any nn.Module; it is neither changed nor run, its copies are
    example_input  the input tensor, or the tuple of positional arguments that `model.forward`
                   takes, e.g. `(x, (h_0, c_0))` for a bare nn.LSTM; None writes no goldens
    example_kwargs keyword arguments of `model.forward`
    golden         path of the golden file; default `model.golden.h5` for `model.h5`;
                   False writes no goldens
    metadata       further text for the model file, {str: str}
    seed           recorded in both files when given; the caller seeds
    intermediates  the golden file also gets what stands inside: hidden states, cell states and
                   gates of every layer and direction (`output_l0`, `c_l0`, `gates_l0_reverse`, …)

    Existing files are replaced, and only when both new ones are complete. Returns a summary:
    {"model", "golden", "tensors", "modules", "goldens", "facts"}. Raises ExportError.
    """
    path = os.fspath(path)
    attributes = _attributes(metadata, seed)
    calls = []
    if golden is not False and (example_input is not None or example_kwargs):
        args = example_input if isinstance(example_input, tuple) else (example_input,)
        args = () if example_input is None else args
        calls = record(model, args, example_kwargs or {})
        if golden is None or golden is True:
            golden = "{0}.golden{1}".format(*os.path.splitext(path))
    targets = [path] if not calls else [path, os.fspath(golden)]
    if calls and os.path.abspath(targets[1]) == os.path.abspath(path):
        raise ExportError(f"{path}: the model and its goldens need two files")

    facts = _facts(calls, model)
    modules = module_records(model)
    goldens = golden_tensors(calls, model, intermediates)
    state = model.state_dict()
    common = {"torch_version": torch.__version__, "exporter": EXPORTER, **facts}
    with _staged(targets) as temporary:
        _write(temporary[0], state.items(),
               {**attributes, **common, "strata_modules": _json(modules)})
        if calls:
            seeded = {} if seed is None else {"seed": str(seed)}
            _write(temporary[1], goldens.items(), {**seeded, **common})
    return {"model": path, "golden": targets[1] if calls else None, "tensors": len(state),
            "modules": modules, "goldens": list(goldens), "facts": facts}


# Module records


def module_records(model):
    """The recurrent, linear and embedding modules of `model`, in the order of named_modules()."""
    records = []
    # A module that is reached by two paths has its tensors in the state dict twice.
    for path, module in model.named_modules(remove_duplicate=False):
        base = _torch_base(module)
        if base is None:
            continue
        # Parameters appear as None or tensors, options as what the constructor was given.
        options = {name: getattr(module, name) for name in OPTIONS[base]}
        if "bias" in options:
            bias = options["bias"]
            options["bias"] = bias if isinstance(bias, bool) else bias is not None
        if base in CELLS:
            mode = MODES.get(base) or f"RNN_{module.nonlinearity.upper()}"
            options["mode"] = mode
        if base in (nn.RNN, nn.RNNCell):
            options["nonlinearity"] = module.nonlinearity
        records.append({"path": path, "type": f"torch.nn.{base.__name__}", "options": options})
    return records


def _torch_base(module):
    """The recorded torch.nn class that `module` is or derives from, or None."""
    return next((base for base in type(module).__mro__ if base in OPTIONS), None)


def _json(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


# Recording


class _Call:
    """The first call of one recurrent module in the forward pass.

    A PackedSequence is recorded padded: zeros behind each sequence's own end, the sequences in the
    order that they had before packing sorted them, with their lengths.
    """

    def __init__(self, path, original, module, x, state, results):
        self.path = path
        self.original = original  # in the user's model: its dtype, its bits
        self.is_cell = isinstance(module, CELLS)
        self.batch_first = not self.is_cell and module.batch_first
        self.packed = x if isinstance(x, PackedSequence) else None
        # Kept alive so that no later tensor can take their storage and pass for them.
        self.kept = results
        self.lengths = None  # int64 [N], on the CPU
        if self.packed is not None:
            _, self.lengths = self.pad(x.data)
            results = {**results, "output": self.pad(results["output"].data)[0]}
        self.input = x.clone() if self.packed is None else self.pad(x.data)[0]
        self.state = tuple(tensor.clone() for tensor in state)
        self.results = {name: tensor.clone() for name, tensor in results.items()}
        self.embedding = None  # (path, original, tokens), tokens shaped as `input` without I
        self.heads = {}        # path: _Head; when recording is done, one that is certain or none

    def names(self):
        return ("h_0", "c_0")[:len(self.state)]

    def pad(self, data):
        """(`data`, packed as the input was, padded with zeros; the lengths)."""
        return pad_packed_sequence(self.packed._replace(data=data), batch_first=self.batch_first)

    def inside(self):
        """Which steps are not padding: bool [N, T] with batch_first, else [T, N]."""
        steps = torch.arange(self.input.shape[1 if self.batch_first else 0])
        inside = steps[None, :] < self.lengths[:, None]
        return inside if self.batch_first else inside.T

    def head_inputs(self, results):
        """What a head can be applied to, out of `results`: {head_input: tensor}."""
        if self.is_cell:
            return {}
        output, h_n = results["output"], results["h_n"]
        directions = 2 if self.original.bidirectional else 1
        return {"all": output, "last": self.last(output),
                "h_n": torch.cat(list(h_n[-directions:]), dim=-1)}

    def last(self, sequence):
        """The last step of each sequence: [N, T, S], [T, N, S] or [T, S] to [N, S] or [S]."""
        if self.lengths is None:
            return sequence.select(1 if self.batch_first and sequence.dim() == 3 else 0, -1)
        lanes, ends = torch.arange(len(self.lengths)), self.lengths - 1
        return sequence[lanes, ends] if self.batch_first else sequence[ends, lanes]

    def match(self, x):
        """What a head took, as (head_input, how its result becomes `y`), or None.

        x: the head's input; a result [..., O] has the dimensions of `x` before the last.
        """
        exact, others = [], []
        for name, tensor in self.head_inputs(self.results).items():
            if name == "all":
                layout = self.layout(x, tensor)
                if layout:
                    exact.append((name, layout))
            elif x.numel() == tensor.numel() and x.shape[-1:] == tensor.shape[-1:]:
                if torch.equal(x.reshape(tensor.shape), tensor):
                    entry = name, _reshaper(tensor.shape[:-1])
                    (exact if x.shape == tensor.shape else others).append(entry)
        found = dict(reversed(exact + others))
        # In one direction the last step and h_n hold the same numbers: memory tells them apart.
        if "h_n" in found and _same_storage(x, self.kept["h_n"]):
            return "h_n", found["h_n"]
        return next(iter(exact + others), None)

    def layout(self, x, sequence):
        """How `x`, a value for each step, is turned into the layout of `sequence`; or None.

        x         [..., S] in either order of steps and batch, flattened, packed, or padded to more
                  steps; None as well where it does not hold the numbers of `sequence`
        sequence  [T, N, S], [N, T, S] or [T, S], as this call has it

        Returns a function from such a tensor, of any last size, to one laid out as `sequence`.
        """
        if self.packed is not None and x.shape == self.packed.data.shape[:1] + sequence.shape[-1:]:
            if torch.equal(self.pad(x)[0], sequence):
                return lambda tensor: self.pad(tensor)[0]
        ways = [lambda tensor: tensor]
        if x.dim() == sequence.dim() == 3:
            ways.append(lambda tensor: tensor.transpose(0, 1))
        elif x.numel() == sequence.numel():
            ways.append(_reshaper(sequence.shape[:-1]))
        for way in ways:
            if self.agree(way(x), sequence):
                steps = sequence.shape[:-1]
                return lambda tensor: way(tensor)[tuple(slice(size) for size in steps)]
        return None

    def agree(self, x, sequence):
        """Whether `x` is `sequence`; behind a sequence's own end anything may stand."""
        if self.lengths is None:
            return torch.equal(x, sequence)
        if x.dim() != sequence.dim() or any(a < b for a, b in zip(x.shape, sequence.shape)):
            return False
        steps = 1 if self.batch_first else 0
        if x.shape[1 - steps] != sequence.shape[1 - steps] or x.shape[2] != sequence.shape[2]:
            return False
        inside = self.inside()
        return torch.equal(x.narrow(steps, 0, sequence.shape[steps])[inside], sequence[inside])

    def find_tokens(self, tokens, output):
        """`tokens` laid out as `input`, where their embeddings `output` are the input; or None."""
        if self.is_cell or tokens.dim() != output.dim() - 1:
            return None
        layout = self.layout(output, self.input)
        if not layout:
            return None
        tokens = layout(tokens.unsqueeze(-1)).squeeze(-1).clone()
        return tokens if self.lengths is None else tokens.masked_fill(~self.inside(), 0)


def _reshaper(steps):
    return lambda tensor: tensor.reshape(steps + tensor.shape[-1:])


class _Head:
    """A linear layer that took the recurrent output."""

    def __init__(self, call, original, module, head_input, layout, result):
        self.original = original
        self.head_input = head_input
        self.layout = layout
        self.result = result.clone()
        self.later = []                  # of a loop over steps, results of the layer's later calls
        self.one_step = not call.is_cell and call.input.shape[
            1 if call.batch_first and call.input.dim() == 3 else 0] == 1
        self.feeds = False               # another layer took what came of it
        self.inside = call.inside() if head_input == "all" and call.lengths is not None else ...
        bias = module.bias
        self.at_zero = torch.zeros(result.shape[-1:]) if bias is None else bias.detach().clone()
        self.y = layout(result).clone()  # [..., O], before the activation until `choose`
        # Some apply the layer to every step and return the last.
        self.last = call.last(self.y) if head_input == "all" else None
        self.activation = None           # None: could not tell
        self.pad()

    def led_to(self, x):
        """Whether `x` holds the layer's result, or what an activation makes of it."""
        if x.numel() != self.result.numel() or x.dtype != self.result.dtype:
            return False
        return any(torch.equal(x.reshape(self.result.shape), function(self.result))
                   for function in ACTIVATIONS.values())

    def candidates(self, returned):
        """{(head_input, activation): y after it}, each of which explains what the model returned.

        Empty where something else was done with the layer's result: then it is no head.
        """
        ways = [(self.head_input, self.y, self.inside, self._whole)]
        if self.last is not None:
            ways.append(("last", self.last, ..., lambda tensor: _arranged(tensor, self.last.shape)))
        for head_input, linear, inside, arranged in ways:
            for tensor in returned:
                for y in arranged(tensor) if tensor.dtype == linear.dtype else ():
                    found = {(head_input, name): y for name, function in ACTIVATIONS.items()
                             if torch.allclose(y[inside], function(linear)[inside],
                                               rtol=1e-5, atol=1e-6)}
                    if found:
                        return found
        return {}

    def _whole(self, tensor):
        """`tensor`, in each way in which it may be the layer's result, laid out as `y`."""
        for result in _arranged(tensor, self.result.shape):
            yield self.layout(result)
        yield from _arranged(tensor, self.y.shape)
        # A model that runs step by step in a loop, of which the first step is recorded.
        if self.later:
            results = [self.result, *self.later]
            for axis in range(min(2, tensor.dim())):
                for join, first in ((torch.stack, tensor.select), (torch.cat, tensor.narrow)):
                    joined = join(results, axis)
                    if joined.shape == tensor.shape and any(
                            torch.allclose(tensor, function(joined), rtol=1e-5, atol=1e-6)
                            for function in ACTIVATIONS.values()):
                        yield self.layout(
                            first(axis, 0) if join is torch.stack
                            else first(axis, 0, self.result.shape[axis]))

    def choose(self, found):
        """Takes what all of `found` say, out of `candidates`."""
        (head_input, activation), y = next(iter(found.items()))
        if head_input != self.head_input:
            self.head_input, self.y, self.inside = head_input, self.last.clone(), ...
        if len(found) == 1:
            self.activation, self.y = activation, y.clone()
            self.pad()

    def pad(self):
        """Behind a sequence's own end the recurrent output is zero: `y` is what zeros give."""
        if self.inside is not ...:
            self.y[~self.inside] = ACTIVATIONS[self.activation or "none"](self.at_zero)


def _arranged(tensor, shape):
    """`tensor` in `shape`, in each way that keeps its numbers: reshaped, dimensions reordered."""
    if tensor.numel() == shape.numel():
        yield tensor.reshape(shape)
        for order in itertools.permutations(range(tensor.dim())) if tensor.dim() <= 3 else ():
            if list(order) != sorted(order):
                yield tensor.permute(order).reshape(shape)


def record(model, args, kwargs):
    """Run a float32 copy of `model` in eval mode on the CPU; the calls of its recurrent modules.

    Integer tensors among the arguments stay as they are, floating ones become float32.
    """
    inner, prefix = _unwrap(model)
    args, kwargs = _argument(args, torch.float32), _argument(kwargs, torch.float32)
    with _plain_torch():
        calls, returned = _run(inner, _copy(inner, torch.float32), prefix, args, kwargs)
        for call in calls:
            # Of all layers that took the output, the head is the one whose result was returned.
            explained = {path: found for path, head in call.heads.items()
                         if not head.feeds and (found := head.candidates(returned))}
            call.heads = {path: call.heads[path] for path in explained if len(explained) == 1}
            for path, head in call.heads.items():
                found = explained[path]
                if len(found) > 1:
                    # All of y is positive, say, and relu looks like none: turn the signs over.
                    probe = _copy(inner, torch.float32)
                    for parameter in probe.get_submodule(path[len(prefix):]).parameters():
                        parameter.neg_()
                    again, returned_again = _run(inner, probe, prefix, args, kwargs)
                    del probe
                    turned = next(c for c in again if c.path == call.path).heads[path]
                    other = turned.candidates(returned_again)
                    found = {way: y for way, y in found.items() if way in other} or found
                head.choose(found)
        # A head stands behind a chain, not inside.
        for call in _chain(calls)[:-1]:
            call.heads = {}
    return calls


def _run(inner, replica, prefix, args, kwargs):
    """One forward pass of `replica`: ([_Call], [tensor returned])."""
    calls, embedded, handles = {}, [], []

    def take(x):
        for call in calls.values():
            for head in call.heads.values():
                head.feeds = head.feeds or head.led_to(x)

    def on_recurrent(path, original):
        def hook(module, args, kwargs, result):
            if path in calls:
                return
            x = args[0] if args else kwargs["input"]
            hx = args[1] if len(args) > 1 else kwargs.get("hx")
            state = () if hx is None else tuple(hx) if isinstance(hx, (tuple, list)) else (hx,)
            results = _results(module, result)
            call = calls[path] = _Call(path, original, module, x, state, results)
            take(call.input)
            for where, embedding, tokens, output in embedded:
                tokens = call.find_tokens(tokens, output)
                if tokens is not None:
                    call.embedding = (where, embedding, tokens)
                    return
        return hook

    def on_linear(path, original):
        def hook(module, args, kwargs, result):
            x = args[0] if args else kwargs["input"]
            take(x)
            for call in calls.values():
                known = call.heads.get(path)
                if known and known.one_step and result.shape == known.result.shape:
                    known.later.append(result.clone())
                match = None if known else call.match(x)
                if match:
                    call.heads[path] = _Head(call, original, module, *match, result)
        return hook

    def on_embedding(path, original):
        def hook(module, args, kwargs, result):
            # With max_norm a lookup gives other numbers than the table holds.
            if module.max_norm is None:
                embedded.append((path, original, args[0] if args else kwargs["input"], result))
        return hook

    def cast(module, args, kwargs):
        # Every parameter is float32 here; a forward that casts for its module's own dtype goes on.
        return _argument(args, torch.float32), _argument(kwargs, torch.float32)

    originals = dict(inner.named_modules())
    for path, module in replica.named_modules():
        if next(module.parameters(recurse=False), None) is not None:
            handles.append(module.register_forward_pre_hook(cast, with_kwargs=True))
        make = (on_recurrent if isinstance(module, STACKS + CELLS) else
                on_linear if isinstance(module, nn.Linear) else
                on_embedding if isinstance(module, nn.Embedding) else None)
        if make:
            hook = make(prefix + path, originals[path])
            handles.append(module.register_forward_hook(hook, with_kwargs=True))
    try:
        returned = replica(*args, **kwargs)
    except Exception as error:
        raise ExportError("the model's forward pass failed on the example, in float32 on the CPU: "
                          f"{type(error).__name__}: {error}") from error
    finally:
        for handle in handles:
            handle.remove()
    if not calls:
        raise ExportError("the forward pass of the example called no nn.RNN, nn.LSTM, nn.GRU or "
                          "cell of these")
    return list(calls.values()), list(_tensors(returned))


def _results(module, result):
    """What a stack or a cell returned, by the names of goldens."""
    if isinstance(module, CELLS):
        return dict(zip(("h_n", "c_n"), result if isinstance(result, tuple) else (result,)))
    output, final = result
    final = final if isinstance(final, tuple) else (final,)
    return dict(zip(("output", "h_n", "c_n"), (output,) + final))


def _chain(calls):
    """The most calls that are stacks and follow each other, each taking what the last one gave.

    Empty where none do.
    """
    best, run = [], []
    for call in calls:
        run = run + [call] if run and _follows(run[-1], call) else [call]
        best = run if len(run) > max(1, len(best)) else best
    return best


def _is_chain(calls, model):
    """Whether `calls` are all recurrent modules of `model`, one or a chain."""
    return len(_recurrent_paths(model)) == len(calls) in (1, len(_chain(calls)))


def _recurrent_paths(model, kinds=STACKS + CELLS):
    return [path for path, module in model.named_modules(remove_duplicate=False)
            if isinstance(module, kinds)]


def _follows(before, call):
    return not before.is_cell and not call.is_cell and (
        before.batch_first == call.batch_first
        and torch.equal(before.results["output"], call.input)
        and (before.lengths is None) == (call.lengths is None)
        and (call.lengths is None or torch.equal(before.lengths, call.lengths)))


# Goldens


def golden_tensors(calls, model, intermediates=False):
    """{name: tensor} of the golden file of `model`: float32 values, then the same with `_f64`.

    One recurrent module: `input`, `output`, …; several: each name is prefixed with the module's
    path. `input` is the tokens when an embedding made the module's input. Where all are stacks that
    take what the one before gave, `input`, `output` and `y` of the whole chain stand beside that,
    and the float64 values are those of the chain.
    """
    goldens, single = {}, len(_recurrent_paths(model)) == 1
    chain = not single and _is_chain(calls, model)
    wide = None  # what the stack before gave in float64
    for call in calls:
        prefix = f"{call.path}." if call.path and not single else ""
        first = not chain or call is calls[0]
        tokens = call.embedding[2] if call.embedding and first else None
        if first:
            wide = None if tokens is None else _embed(call.embedding[1], tokens)
        with _plain_torch():
            x = call.input.double() if wide is None else wide
            double = _double_results(call, x)
            inner, inner_double = (_intermediates(call, x, double) if intermediates else ({}, {}))
        values = {"input": call.input if tokens is None or chain else tokens}
        if call.lengths is not None:
            values["lengths"] = call.lengths
        values.update(zip(call.names(), call.state))
        values.update(call.results)
        for head in call.heads.values():
            values["y"] = head.y
        values.update(inner)
        if chain and not torch.equal(x, call.input.double()):
            values["input_f64"] = x
        double = {**double, **inner_double}
        values.update({f"{name}_f64": tensor for name, tensor in double.items()})
        goldens.update({prefix + name: tensor for name, tensor in values.items()})
        if chain:
            wide = double["output"]  # the next one's input
            whole = ("input", "lengths") if first else ()
            whole += ("output", "y", "output_f64", "y_f64") if call is calls[-1] else ()
            goldens.update({name: values[name] for name in whole if name in values})
            if first and tokens is not None:
                goldens["input"] = tokens
    return goldens


def _embed(embedding, tokens):
    """The rows of `tokens` in float64: [..., E]. The table itself may be large: it stays."""
    if type(embedding).forward is not nn.Embedding.forward or not _is_plain(embedding):
        with _plain_torch():
            return _copy(embedding, torch.float64)(tokens)
    weight = embedding.weight.detach()
    return nn.functional.embedding(tokens.to(weight.device), weight).to("cpu", torch.float64)


def _double_results(call, x):
    """The results of `call` from the input `x`, computed by the same modules in float64.

    Module by module, not by the whole model in float64: an input that an earlier layer computed
    would otherwise differ from the recorded one, and the comparison would measure that layer.
    """
    state = tuple(tensor.double() for tensor in call.state)
    if call.is_cell or not _is_plain(call.original):
        results = _apply(_copy(call.original, torch.float64), x, state, call.lengths)
    else:
        # A layer at a time, so that no more than one is in memory in float64.
        layers, directions = call.original.num_layers, 2 if call.original.bidirectional else 1
        finals = []
        for layer in range(layers):
            rows = slice(layer * directions, (layer + 1) * directions)
            results = _apply(_one_layer(call.original, layer, ("", "_reverse")[:directions],
                                        torch.float64, call.original.batch_first),
                             x, tuple(tensor[rows] for tensor in state), call.lengths)
            x = results["output"]
            finals.append(results)
        results = {name: x if name == "output" else torch.cat([final[name] for final in finals])
                   for name in results}
    for head in call.heads.values():
        y = _copy(head.original, torch.float64)(call.head_inputs(results)[head.head_input])
        results["y"] = ACTIVATIONS[head.activation or "none"](y)
    return results


def _apply(module, x, state, lengths):
    """What `module` makes of `x`, packed where there are lengths, by the names of goldens."""
    hx = None if not state else state if len(state) == 2 else state[0]
    if lengths is None:
        return _results(module, module(x, hx))
    packed = pack_padded_sequence(x, lengths, module.batch_first, enforce_sorted=False)
    results = _results(module, module(packed, hx))
    results["output"], _ = pad_packed_sequence(results["output"], module.batch_first)
    return results


def _is_plain(module):
    """Whether `module` does what its torch.nn class does with the weights that it holds."""
    base = _torch_base(module)
    return (type(module).forward is base.forward and not hasattr(module, "parametrizations")
            and not module._forward_pre_hooks and not module._forward_hooks)


def _one_layer(stack, layer, suffixes, dtype, batch_first):
    """A module of the same kind that is layer `layer` of `stack`, in the directions `suffixes`.

    Where `suffixes` is ("_reverse",) alone, the result reads forward.
    """
    options = {"nonlinearity": stack.nonlinearity} if isinstance(stack, nn.RNN) else {}
    if stack.proj_size:
        options["proj_size"] = stack.proj_size
    inputs = getattr(stack, f"weight_ih_l{layer}").shape[1]
    # On the meta device nothing is drawn for weights that are replaced at once.
    module = _torch_base(stack)(inputs, stack.hidden_size, bias=bool(stack.bias),
                                batch_first=batch_first, bidirectional=len(suffixes) == 2,
                                device="meta", dtype=dtype, **options)
    for name, _ in list(module.named_parameters()):
        kind, reverse = name.split("_l0")
        suffix = reverse if len(suffixes) == 2 else suffixes[0]
        weight = getattr(stack, f"{kind}_l{layer}{suffix}").detach().to("cpu", dtype)
        setattr(module, name, nn.Parameter(weight, requires_grad=False))
    return module.eval()


# Inner layers


def _intermediates(call, x, double):
    """({name: float32 tensor}, {name: float64 tensor}): what stands inside the layers of `call`.

    x       the input in float64
    double  the results in float64
    """
    if call.is_cell:
        return {}, {}
    # Large weights make any float32 result wobble, PyTorch's too: by as much it may differ.
    own = max(_difference(tensor.double(), double[name]) for name, tensor in call.results.items())
    found = []
    for given, expected, limit in ((call.input, call.results, max(1e-6, 4 * own)),
                                   (x, double, max(1e-12, 1e-8 * own))):
        state = tuple(tensor.to(given.dtype) for tensor in call.state)
        stack = call.original
        if not _is_plain(stack):  # its weights are what it makes of them in a call
            stack = _copy(stack, given.dtype)
            _apply(stack, given, state, call.lengths)
        found.append(_replay(call, stack, given, state, expected, limit))
    return tuple(found)


def _replay(call, stack, x, state, expected, limit):
    """Every layer and direction of `stack` on its own, in the dtype of `x`.

    x         as the call has its input
    expected  the model's own results; an error if the replay gives others

    Returns, for each layer k, with `_reverse` behind the name for the reverse direction and laid
    out as `output` is, zeros behind a sequence's own end:

    output_l{k}  [T, N, P or H]  hidden states
    c_l{k}       [T, N, H]       cell states, LSTM only
    gates_l{k}   [T, N, G * H]   after their activation, i f g o or r z n; not for nn.RNN

    What the reverse direction computed at step t stands at step t.
    """
    is_batched = x.dim() == 3
    x = x.unsqueeze(1) if not is_batched else x.transpose(0, 1) if call.batch_first else x
    steps, lanes = x.shape[:2]
    lengths = torch.full((lanes,), steps) if call.lengths is None else call.lengths
    inside = (torch.arange(steps)[:, None] < lengths).unsqueeze(-1)
    count = torch.arange(steps)[:, None].expand(steps, lanes)
    mirrored = torch.where(inside.squeeze(-1), lengths - 1 - count, count).unsqueeze(-1)

    def turned(tensor):
        """Each sequence from its own end to its start."""
        return tensor.gather(0, mirrored.expand(tensor.shape))

    def laid_out(tensor):
        tensor = tensor.masked_fill(~inside, 0)
        return (tensor.squeeze(1) if not is_batched else
                tensor.transpose(0, 1) if call.batch_first else tensor).contiguous()

    def expect(what, value, reference):
        scale = max(1.0, float(reference.abs().max()))
        if not _difference(value, reference) <= limit * scale:
            raise ExportError(
                f"{call.path or 'the model'}: {what}, replayed in {x.dtype}, is off by "
                f"{_difference(value, reference):g}, allowed {limit * scale:g}: either its forward "
                "does more than its torch.nn class, or its weights are so large that the last bit "
                "decides; export without intermediates")

    sizes = (stack.proj_size or stack.hidden_size, stack.hidden_size)
    names = ("h_n", "c_n")[:2 if isinstance(stack, nn.LSTM) else 1]
    state = tuple(tensor if is_batched else tensor.unsqueeze(1) for tensor in state)
    values, finals = {}, {name: [] for name in names}
    for layer in range(stack.num_layers):
        outputs = []
        for suffix in ("", "_reverse")[:2 if stack.bidirectional else 1]:
            row = len(finals["h_n"])
            start = tuple(tensor[row:row + 1] for tensor in state)
            if not start:
                start = tuple(x.new_zeros(1, lanes, size) for size in sizes[:len(names)])
            module = _one_layer(stack, layer, (suffix,), x.dtype, batch_first=False)
            given = turned(x) if suffix else x
            results = _apply(module, given, start, None if call.lengths is None else lengths)
            inner = _equations(module, given, start, results["output"])
            what = f"layer {layer}{suffix.replace('_', ' ')}"
            ends = (lengths - 1, torch.arange(lanes))
            expect(what, inner["output"].masked_fill(~inside, 0), results["output"])
            expect(f"{what}, final state", inner["output"][ends], results["h_n"][0])
            if "c" in inner:
                expect(f"{what}, final cell state", inner["c"][ends], results["c_n"][0])
            for name in names:
                finals[name].append(results[name])
            inner["output"] = results["output"]
            back = {name: turned(value) if suffix else value for name, value in inner.items()}
            values.update({f"{name}_l{layer}{suffix}": laid_out(value)
                           for name, value in back.items()})
            outputs.append(back["output"])
            del module  # before the next one is made
        x = torch.cat(outputs, dim=-1)
    expect("output", laid_out(x), expected["output"])
    for name in names:
        final = torch.cat(finals[name])
        expect(name, final if is_batched else final.squeeze(1), expected[name])
    return values


def _equations(module, x, state, output):
    """The equations of a one-layer module, step by step: {output, c, gates}, [T, N, ·] each.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.LSTM.html, and GRU and RNN there.

    x       [T, N, I]
    state   (h_0,) or (h_0, c_0), [1, N, ·]
    output  what the module gave: each step starts from its hidden state, because in a network with
            large weights two runs that differ in the last bit grow apart
    """
    linear = nn.functional.linear
    biases = (module.bias_ih_l0, module.bias_hh_l0) if module.bias else (None, None)
    c = state[-1][0]
    collected = []
    for step, h in zip(x, torch.cat((state[0], output[:-1]))):
        a = linear(step, module.weight_ih_l0, biases[0])
        b = linear(h, module.weight_hh_l0, biases[1])
        if isinstance(module, nn.LSTM):
            i, f, g, o = (a + b).chunk(4, dim=-1)
            i, f, g, o = torch.sigmoid(i), torch.sigmoid(f), torch.tanh(g), torch.sigmoid(o)
            c = f * c + i * g
            h = o * torch.tanh(c)
            if module.proj_size:
                h = linear(h, module.weight_hr_l0)
            collected.append((h, c, torch.cat((i, f, g, o), dim=-1)))
        elif isinstance(module, nn.GRU):
            (a_r, a_z, a_n), (b_r, b_z, b_n) = a.chunk(3, dim=-1), b.chunk(3, dim=-1)
            r, z = torch.sigmoid(a_r + b_r), torch.sigmoid(a_z + b_z)
            n = torch.tanh(a_n + r * b_n)
            h = (1 - z) * n + z * h
            collected.append((h, torch.cat((r, z, n), dim=-1)))
        else:
            h = torch.tanh(a + b) if module.nonlinearity == "tanh" else torch.relu(a + b)
            collected.append((h,))
    names = {nn.LSTM: ("output", "c", "gates"), nn.GRU: ("output", "gates"), nn.RNN: ("output",)}
    return {name: torch.stack(values)
            for name, values in zip(names[type(module)], zip(*collected))}


def _difference(a, b):
    """The largest |a - b|; none between equal infinities or NaN."""
    same = (a == b) | (a.isnan() & b.isnan())
    return float(torch.where(same, 0, (a - b).abs()).max())


def _facts(calls, model):
    """What the forward pass told about heads, embeddings and chains: {attribute: text}.

    `head` and `embedding` are the path of the one that was found, or `none` where the model has
    linear layers, or embeddings, but does something else with them: no reader is then to take one
    for a head because its shape fits. Unprefixed where the model has one recurrent module or one
    chain of them, else prefixed with each module's path. With several stacks there is `chain`: the
    paths of those that follow each other, a JSON array, empty where none do.
    """
    facts, chain = {}, _chain(calls)
    bases = {_torch_base(module) for module in model.modules()
             if getattr(getattr(module, "weight", None), "ndim", 0) == 2}
    # None: a class that is not known, which a reader could take for either.
    has_linear, has_embedding = bases & {nn.Linear, None}, bases & {nn.Embedding, None}
    is_chain = _is_chain(calls, model)
    for call in calls:
        prefix = f"{call.path}." if call.path and not (is_chain and call is calls[-1]) else ""
        for path, head in call.heads.items():
            facts[prefix + "head"] = path
            facts[prefix + "head_input"] = head.head_input
            if head.activation:
                facts[prefix + "head_activation"] = head.activation
        if has_linear and not call.heads and not (is_chain and prefix):
            facts[prefix + "head"] = "none"
    for call in calls[:1] if is_chain else calls:
        prefix = f"{call.path}." if call.path and not is_chain else ""
        if call.embedding:
            facts[prefix + "embedding"] = call.embedding[0]
        elif has_embedding:
            facts[prefix + "embedding"] = "none"
    uncalled = set(_recurrent_paths(model)) - {call.path for call in calls} if calls else ()
    for path in sorted(uncalled):
        for name, there in (("head", has_linear), ("embedding", has_embedding)):
            if there:
                facts[f"{path}.{name}"] = "none"
    if calls and len(_recurrent_paths(model, STACKS)) > 1:
        facts["chain"] = _json([call.path for call in chain])
    return facts


# Copies, dtypes, PyTorch's global state


def _unwrap(model):
    """(the module inside DataParallel and torch.compile wrappers, the prefix they add)."""
    prefix = ""
    while True:
        if isinstance(model, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
            model, prefix = model.module, prefix + "module."
        elif isinstance(getattr(model, "_orig_mod", None), nn.Module):
            model, prefix = model._orig_mod, prefix + "_orig_mod."
        else:
            return model, prefix


def _copy(module, dtype):
    """A copy of `module` on the CPU in `dtype`, in eval mode."""
    memo = {}
    try:
        for child in module.modules():
            _prepare(vars(child), dtype, memo)
        replica = copy.deepcopy(module, memo)
    except Exception as error:
        raise ExportError(f"{type(module).__name__} cannot be copied: {error}") from error
    return replica.to(device="cpu", dtype=dtype).eval()


def _prepare(value, dtype, memo):
    """Put into `memo`, for copy.deepcopy, the copies of the tensors in `value` that it makes badly.

    A function of its own: one that is nested and calls itself keeps `memo`, and with it the whole
    copy of a model, in memory until the garbage collector comes by.
    """
    if isinstance(value, torch.Tensor):
        if id(value) in memo:
            return
        if not value.is_leaf:
            # With a gradient history, such as a hidden state kept on the module, deepcopy refuses.
            memo[id(value)] = value.detach().clone()
        elif type(value) is nn.Parameter and value.is_floating_point():
            # Straight to where it is to be: one copy, in one dtype, and none on the GPU.
            data = value.detach().to("cpu", dtype, copy=True)
            memo[id(value)] = nn.Parameter(data, requires_grad=False)
    elif isinstance(value, (list, tuple)):
        for item in value:
            _prepare(item, dtype, memo)
    elif isinstance(value, dict):
        for item in value.values():
            _prepare(item, dtype, memo)


def _argument(value, dtype):
    """`value` with every tensor on the CPU, the floating ones in `dtype`."""
    if isinstance(value, torch.Tensor):
        value = value.detach().to("cpu")
        return value.to(dtype) if value.is_floating_point() else value
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(_argument(item, dtype) for item in value))
    if isinstance(value, (list, tuple)):
        return type(value)(_argument(item, dtype) for item in value)
    if isinstance(value, dict):
        return {key: _argument(item, dtype) for key, item in value.items()}
    return value


def _tensors(value):
    """Every tensor in what a model returned."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (list, tuple, dict)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _tensors(item)


def _same_storage(a, b):
    return a.untyped_storage().data_ptr() == b.untyped_storage().data_ptr()


@contextlib.contextmanager
def _plain_torch():
    """No gradient, no autocast, float32 products in full, CPU and float32 as defaults.

    A training script may have set any of these otherwise; they are put back, and the random
    generator goes on where it was.
    """
    dtype, precision = torch.get_default_dtype(), torch.get_float32_matmul_precision()
    with torch.no_grad(), torch.autocast("cpu", enabled=False), torch.device("cpu"), \
            torch.random.fork_rng(devices=[]):
        try:
            torch.set_default_dtype(torch.float32)
            torch.set_float32_matmul_precision("highest")
            yield
        finally:
            torch.set_default_dtype(dtype)
            torch.set_float32_matmul_precision(precision)


# HDF5


def _attributes(metadata, seed):
    attributes = {} if seed is None else {"seed": str(seed)}
    for key, value in (metadata or {}).items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise ExportError(f"metadata {key!r}: key and value are to be text")
        if key in RESERVED:
            raise ExportError(f"metadata {key!r}: the name is used by the exporter")
        if not key or "\0" in key + value:
            raise ExportError(f"metadata {key!r}: HDF5 holds no empty name and no NUL")
        attributes[key] = value
    return attributes


@contextlib.contextmanager
def _staged(targets):
    """Sibling temporary files of `targets`, moved over them when the body has succeeded."""
    for target in targets:
        folder = os.path.dirname(os.path.abspath(target))
        if not os.path.isdir(folder):
            raise FileNotFoundError(f"{target}: there is no directory {folder}")
        if os.path.isdir(target):
            raise IsADirectoryError(f"{target}: is a directory")
    temporary = [f"{target}.{os.getpid()}.tmp" for target in targets]
    try:
        yield temporary
        for name in temporary:
            with open(name, "rb+") as file:
                os.fsync(file.fileno())
        for name, target in zip(temporary, targets):
            os.replace(name, target)
    finally:
        for name in temporary:
            with contextlib.suppress(FileNotFoundError):
                os.remove(name)


def _write(path, tensors, attributes):
    """Write named tensors, in their order, and text attributes to a new HDF5 file.

    The same tensors and attributes give the same bytes: no time stamps, a fixed file version.
    """
    with h5py.File(path, "w", libver=("earliest", "v110")) as file:
        for name in sorted(attributes):
            _write_text(file.id, name, attributes[name])
        for order, (name, tensor) in enumerate(tensors):
            dataset = _write_tensor(file.id, name, tensor)
            kind, space = h5py.h5t.STD_I64LE, h5py.h5s.create(h5py.h5s.SCALAR)
            attribute = h5py.h5a.create(dataset, b"strata_order", kind, space)
            attribute.write(np.array(order, "<i8"), mtype=kind)


def _write_text(owner, name, text):
    """A UTF-8 string attribute: of fixed length, but variable above what an object header holds."""
    data = text.encode("utf-8")
    kind = h5py.h5t.C_S1.copy()
    kind.set_cset(h5py.h5t.CSET_UTF8)
    if len(data) > 60_000:
        h5py.AttributeManager(h5py.Group(owner)).create(
            name, text, dtype=h5py.string_dtype("utf-8"))
        return
    kind.set_size(max(1, len(data)))
    kind.set_strpad(h5py.h5t.STR_NULLPAD)
    attribute = h5py.h5a.create(owner, name.encode("utf-8"), kind,
                                h5py.h5s.create(h5py.h5s.SCALAR))
    attribute.write(np.array(data, f"S{max(1, len(data))}"), mtype=kind)


def _write_tensor(owner, name, tensor):
    """A contiguous dataset that holds the bits of `tensor`, little-endian."""
    kind, data = _encode(name, tensor)
    space = (h5py.h5s.create(h5py.h5s.SCALAR) if data.ndim == 0
             else h5py.h5s.create_simple(data.shape))
    creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    creation.set_obj_track_times(False)
    dataset = h5py.h5d.create(owner, name.encode("utf-8"), kind, space, dcpl=creation)
    if data.size:
        # The file's type is also the type in memory: HDF5 converts nothing, every NaN survives.
        dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, data, mtype=kind)
    return dataset


def _encode(name, tensor):
    """(HDF5 type, numpy array with the tensor's bits in little-endian order)."""
    if not name or "/" in name or "\0" in name or name == ".":
        raise ExportError(f"{name!r}: HDF5 cannot hold a tensor of this name at the root")
    if not isinstance(tensor, torch.Tensor):
        raise ExportError(f"{name}: {type(tensor).__name__} in the state dict is no tensor")
    if tensor.is_quantized:
        raise ExportError(f"{name}: quantized tensor; export the model before it is quantized, or "
                          "dequantize it")
    if tensor.layout != torch.strided:
        raise ExportError(f"{name}: sparse tensor ({tensor.layout}); call to_dense() first")
    if tensor.is_meta:
        raise ExportError(f"{name}: on the meta device, without data")
    if tensor.dtype.is_complex:
        raise ExportError(f"{name}: {tensor.dtype} is not supported; export torch.view_as_real()")
    kinds = _kinds()
    if tensor.dtype not in kinds:
        raise ExportError(f"{name}: {tensor.dtype} is not supported")
    kind = kinds[tensor.dtype]
    try:
        tensor = tensor.detach().cpu().resolve_neg().contiguous()
        if tensor.dtype is torch.bfloat16:  # numpy has no bfloat16
            tensor = tensor.view(torch.int16)
        data = tensor.numpy()
    except Exception as error:
        raise ExportError(f"{name}: its data cannot be read: {error}") from error
    if data.dtype == bool:
        data = data.view(np.int8)
    return kind, np.ascontiguousarray(data, data.dtype.newbyteorder("<")).reshape(data.shape)


def _kinds():
    """{torch dtype: little-endian HDF5 type}."""
    t = h5py.h5t
    bfloat16 = t.IEEE_F16LE.copy()
    bfloat16.set_fields(15, 7, 8, 0, 7)  # sign, exponent and its size, mantissa and its size
    bfloat16.set_ebias(127)
    kinds = {
        torch.float64: t.IEEE_F64LE, torch.float32: t.IEEE_F32LE, torch.float16: t.IEEE_F16LE,
        torch.bfloat16: bfloat16, torch.bool: t.py_create(np.dtype(bool), logical=True),
        torch.int8: t.STD_I8LE, torch.int16: t.STD_I16LE, torch.int32: t.STD_I32LE,
        torch.int64: t.STD_I64LE, torch.uint8: t.STD_U8LE,
    }
    for name in ("uint16", "uint32", "uint64"):  # torch >= 2.3
        if hasattr(torch, name):
            kinds[getattr(torch, name)] = getattr(t, f"STD_U{name[4:]}LE")
    return kinds


# Command line


def main(arguments=None):
    """Run the command line; returns the exit status."""
    args = _parser().parse_args(arguments)
    try:
        summary = _run_command(args)
    except (ExportError, OSError) as error:
        text = str(error)
        if getattr(error, "filename", None) and error.strerror:
            text = f"{error.filename}: {error.strerror}"
        print("error:", " ".join(text.split()), file=sys.stderr)
        return 2
    facts = ", ".join(f"{key} {value}" for key, value in summary["facts"].items())
    print(f"{summary['model']}: {summary['tensors']} tensors" + (f"; {facts}" if facts else ""))
    if summary["golden"]:
        print(f"{summary['golden']}: {', '.join(summary['goldens'])}")
    return 0


def _run_command(args):
    torch.manual_seed(args.seed)
    model = _build(args.model, args.args)
    if args.state_dict:
        _load(model, args.state_dict, args.key)
    torch.manual_seed(args.seed)  # the input is the same whatever the factory drew
    inputs = [_npy(name) for name in args.input or ()]
    for shape in args.shape or ():
        inputs.append(torch.randint(args.vocab, shape) if args.vocab else torch.randn(shape))
    if args.h_0:
        state = tuple(_npy(name) for name in (args.h_0, args.c_0) if name)
        inputs.append(state if args.c_0 else state[0])
    elif args.c_0:
        _fail("--c-0 needs --h-0")
    metadata = {}
    for item in args.metadata or ():
        key, equals, value = item.partition("=")
        metadata[key] = value if equals else _fail(f"--metadata {item}: expected KEY=VALUE")
    drawn = bool(args.shape) or not args.state_dict
    return export(model, args.output, tuple(inputs) or None, golden=args.golden,
                  metadata=metadata, seed=args.seed if drawn else None,
                  intermediates=args.intermediates)


def _fail(message):
    raise ExportError(message)


def _npy(name):
    try:
        return torch.from_numpy(np.load(name, allow_pickle=False))
    except (TypeError, ValueError, EOFError) as error:
        raise ExportError(f"{name}: no array that PyTorch takes: {error}") from error


def _load(model, name, key):
    """Load the state dict in the file `name`, below the dotted `key`, into `model`."""
    try:
        state = torch.load(name, map_location="cpu", weights_only=True)
        for part in filter(None, (key or "").split(".")):
            state = state[part]
        model.load_state_dict(state)
    except KeyError as error:
        raise ExportError(f"{name}: no key {error}") from error
    except (RuntimeError, TypeError, AttributeError, EOFError, pickle.UnpicklingError) as error:
        raise ExportError(f"{name}: {error}") from error


def _build(where, arguments):
    """The nn.Module that `where`, "package.module:name" or "file.py:name", leads to."""
    source, colon, name = where.rpartition(":")
    if not colon or not name:
        _fail(f"{where}: expected package.module:name or file.py:name")
    if source.endswith(".py"):
        if not os.path.isfile(source):
            _fail(f"{source}: no such file")
        sys.path.insert(0, os.path.dirname(os.path.abspath(source)))
        specification = importlib.util.spec_from_file_location("exported_model", source)
        module = importlib.util.module_from_spec(specification)
        sys.modules["exported_model"] = module
        specification.loader.exec_module(module)
    else:
        sys.path.insert(0, os.getcwd())
        try:
            module = importlib.import_module(source)
        except ModuleNotFoundError as error:
            raise ExportError(f"{where}: {error}") from error
    model = getattr(module, name, None)
    if model is None:
        _fail(f"{where}: {source} has no {name}")
    if not isinstance(model, nn.Module):
        model = model(**arguments)
    if not isinstance(model, nn.Module):
        _fail(f"{where}: gives {type(model).__name__}, expected torch.nn.Module")
    return model


def _shape(text):
    """A shape such as 4,2,3 from the command line."""
    return tuple(int(size) for size in text.split(","))


def _object(text):
    """A JSON object from the command line."""
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError(text)
    return value


def _parser():
    parser = argparse.ArgumentParser(
        description="Export a PyTorch recurrent model to HDF5 for Strata, with goldens: what "
                    "PyTorch computes for an example, in float32 and float64.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="""examples:
  a trained model, goldens from a recorded input [T, N, I] or [N, T, I]
    %(prog)s train.py:make_model model.h5 --state-dict checkpoint.pt --input example.npy
  a class with arguments, random input
    %(prog)s torch.nn:LSTM lstm.h5 --args '{"input_size": 3, "hidden_size": 5}' --shape 4,2,3
  a model with an embedding, random tokens below 50
    %(prog)s charmodel:CharModel model.h5 --state-dict best.pt --key model --shape 16,1 --vocab 50

The model is built and run by your own code: only name files that you trust. Checkpoints are
loaded with weights_only=True. Existing output files are replaced once the new ones are complete.
In a training script: from export_pytorch import export; export(model, "model.h5", example)""")
    parser.add_argument("model", metavar="MODEL",
                        help="package.module:NAME or file.py:NAME; NAME is a function or class "
                             "that gives the model, or the model itself")
    parser.add_argument("output", metavar="OUTPUT", help="the HDF5 file to write, e.g. model.h5")
    parser.add_argument("--args", metavar="JSON", type=_object, default={},
                        help="keyword arguments for the function or class, a JSON object")
    parser.add_argument("--state-dict", metavar="FILE",
                        help="load these weights (torch.save of a state dict), all names required")
    parser.add_argument("--key", metavar="KEY",
                        help="where in FILE the state dict is, e.g. model_state_dict; dots descend")
    example = parser.add_mutually_exclusive_group()
    example.add_argument("--input", metavar="FILE.npy", action="append",
                         help="example input; repeat for further arguments of forward")
    example.add_argument("--shape", metavar="T,N,I", type=_shape, action="append",
                         help="example input of this shape, drawn from N(0, 1); repeatable")
    parser.add_argument("--vocab", metavar="V", type=int,
                        help="with --shape: integer tokens 0 to V-1")
    parser.add_argument("--h-0", metavar="FILE.npy",
                        help="initial hidden state, given to forward after the inputs")
    parser.add_argument("--c-0", metavar="FILE.npy",
                        help="initial cell state; forward is then given the pair (h_0, c_0)")
    golden = parser.add_mutually_exclusive_group()
    golden.add_argument("--golden", metavar="FILE",
                        help="golden file (default: OUTPUT with .golden before its extension)")
    golden.add_argument("--no-golden", dest="golden", action="store_false", default=None,
                        help="write the model file only")
    parser.add_argument("--intermediates", action="store_true",
                        help="the golden file also gets the hidden states, cell states and gates "
                             "of every layer and direction")
    parser.add_argument("--seed", metavar="S", type=int, default=0,
                        help="torch.manual_seed before the model is built and before the input is "
                             "drawn (default 0)")
    parser.add_argument("--metadata", metavar="KEY=VALUE", action="append",
                        help="text to store in the model file; repeatable")
    parser.add_argument("--version", action="version", version=EXPORTER)
    return parser


if __name__ == "__main__":
    sys.exit(main())
