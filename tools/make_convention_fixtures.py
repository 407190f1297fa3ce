#!/usr/bin/env python3
"""Make fixtures/conventions/<case>/: recurrent modules of other conventions than PyTorch's.

    model.h5   the state dict of an nn.LSTM or nn.GRU; nothing tells the convention
    golden.h5  inputs and results under the convention, which its attributes `gru_reset` and
               `sigmoid` name as the options of `strata convert --set` do

The cells are written down here with the operations of torch, in float32 and in float64:

    gru_reset=before     n = tanh(W_in x + b_in + W_hn (r * h) + b_hn)
    sigmoid=hard_keras2  clip(0.2 x + 0.5, 0, 1) for the gates i f o of an LSTM, r z of a GRU
    sigmoid=hard_torch   torch.nn.functional.hardsigmoid, clip(x / 6 + 0.5, 0, 1)

Written with PyTorch's own conventions they give what nn.LSTM and nn.GRU do; that is checked first.

    python tools/make_convention_fixtures.py          make all of them anew (torch, h5py)
    python tools/make_convention_fixtures.py --check  make them elsewhere and compare
    python tools/make_convention_fixtures.py --onnx   compare them with the LSTM and GRU of ONNX
                                                      Runtime: linear_before_reset=0, HardSigmoid
"""

import argparse
import os
import shutil
import sys
import tempfile
import zlib

import h5py
import numpy as np
import torch
from torch import nn
from torch.nn.functional import hardsigmoid, linear
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import make_fixtures  # noqa: E402
from export_pytorch import _write, export  # noqa: E402

FIXTURES = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
                        "fixtures", "conventions")

SIGMOIDS = {
    "logistic": torch.sigmoid,
    "hard_keras2": lambda x: torch.clip(0.2 * x + 0.5, 0, 1),
    "hard_torch": hardsigmoid,
}
CASES = {}


def case(name, kind, inputs, hidden, layers=1, *, gru_reset="after", sigmoid="logistic", steps=5,
         batch=3, state=False, lengths=None, inside=False, **options):
    """A stack; `batch` of None for an input [T, I], `inside` for what goes on inside the layers."""
    convention = {"gru_reset": gru_reset} if kind == "gru" else {}
    convention["sigmoid"] = sigmoid
    assert name not in CASES, name
    CASES[name] = dict(kind=kind, sizes=(inputs, hidden, layers), convention=convention,
                       steps=steps, batch=len(lengths) if lengths else batch, state=state,
                       lengths=lengths, inside=inside, options=options)


CONVENTIONS = [("lstm", {"sigmoid": "hard_keras2"}), ("lstm", {"sigmoid": "hard_torch"})] + [
    ("gru", {"gru_reset": "before", "sigmoid": sigmoid}) for sigmoid in SIGMOIDS]
for _kind, _convention in CONVENTIONS:
    _name = "-".join([_kind, *_convention.values()]).replace("_", "-").replace("-logistic", "")
    _sizes = {"lstm": (5, 4), "gru": (4, 3)}[_kind]
    for _layers in (1, 3):
        for _way in ("uni", "bi"):
            case(f"{_name}-l{_layers}-{_way}", _kind, *_sizes, _layers, **_convention,
                 bidirectional=_way == "bi", state=(_layers == 3) != (_way == "bi"),
                 inside=(_layers, _way) == (3, "bi"))
    case(f"{_name}-lengths", _kind, 4, 5, 2, **_convention, lengths=[3, 6, 1, 4], steps=6,
         bidirectional=True, state=True, inside=True)
    case(f"{_name}-unbatched", _kind, 4, 5, 2, **_convention, batch=None, state=True)
    case(f"{_name}-batch-first", _kind, 4, 5, 2, **_convention, batch_first=True)
    if _name in ("lstm-hard-keras2", "gru-before"):
        case(f"{_name}-over-blocks", _kind, 3, 66, **_convention)  # sums of over 64 products
    if _kind == "lstm":
        case(f"{_name}-projection", _kind, 4, 6, 2, **_convention, proj_size=3, state=True,
             bidirectional=True)
for _sigmoid in ("hard_keras2", "hard_torch"):
    case(f"gru-after-{_sigmoid.replace('_', '-')}", "gru", 4, 3, 2, sigmoid=_sigmoid,
         bidirectional=True, state=True, inside=True)
case("gru-before-no-bias", "gru", 4, 3, 2, gru_reset="before", bias=False)


# The cells


def step(module, weights, x, h, c, gru_reset="after", sigmoid="logistic"):
    """One step of one sequence: (h, c, gates after their activation, in PyTorch's order)."""
    w_ih, w_hh, b_ih, b_hh, w_hr = weights
    sigma = SIGMOIDS[sigmoid]
    a = linear(x, w_ih, b_ih)
    if isinstance(module, nn.LSTM):
        i, f, g, o = (a + linear(h, w_hh, b_hh)).chunk(4)
        i, f, g, o = sigma(i), sigma(f), torch.tanh(g), sigma(o)
        c = f * c + i * g
        h = o * torch.tanh(c)
        return h if w_hr is None else linear(h, w_hr), c, torch.cat((i, f, g, o))
    a_r, a_z, a_n = a.chunk(3)
    w_r, w_z, w_n = w_hh.chunk(3)
    b_r, b_z, b_n = (None,) * 3 if b_hh is None else b_hh.chunk(3)
    r = sigma(a_r + linear(h, w_r, b_r))
    z = sigma(a_z + linear(h, w_z, b_z))
    if gru_reset == "before":
        n = torch.tanh(a_n + linear(r * h, w_n, b_n))
    else:
        n = torch.tanh(a_n + r * linear(h, w_n, b_n))
    return (1 - z) * n + z * h, c, torch.cat((r, z, n))


def run(module, x, state, lengths, **convention):
    """The results of `module` on x [T, N, I], sequence by sequence: {name: tensor}, time first."""
    steps, lanes = x.shape[:2]
    directions = ("", "_reverse")[:2 if module.bidirectional else 1]
    size, results, finals = module.proj_size or module.hidden_size, {}, []
    for layer in range(module.num_layers):
        outputs = []
        for suffix in directions:
            end = f"_l{layer}{suffix}"
            weights = [getattr(module, name + end, None) for name in
                       ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")]
            row = layer * len(directions) + len(outputs)
            inner = {"output": x.new_zeros(steps, lanes, size),
                     "c": x.new_zeros(steps, lanes, module.hidden_size),
                     "gates": x.new_zeros(steps, lanes, weights[0].shape[0])}
            ends = []
            for lane in range(lanes):
                h = state[0][row, lane] if state else x.new_zeros(size)
                c = state[-1][row, lane] if state else x.new_zeros(module.hidden_size)
                own = range(lengths[lane] if lengths else steps)
                for t in reversed(own) if suffix else own:
                    h, c, gates = step(module, weights, x[t, lane], h, c, **convention)
                    inner["output"][t, lane], inner["c"][t, lane] = h, c
                    inner["gates"][t, lane] = gates
                ends.append((h, c))
            finals.append([torch.stack(values) for values in zip(*ends)])
            results.update({name + end: value for name, value in inner.items()})
            outputs.append(inner["output"])
        x = torch.cat(outputs, dim=-1)
    h_n, c_n = (torch.stack(values) for values in zip(*finals))
    if not isinstance(module, nn.LSTM):
        results = {name: value for name, value in results.items() if not name.startswith("c_")}
        return {"output": x, "h_n": h_n, **results}
    return {"output": x, "h_n": h_n, "c_n": c_n, **results}


# Cases


def build(name):
    """(module, input [T, N, I], state, case); time first, batched."""
    options = CASES[name]
    torch.manual_seed(seed(name))
    module = {"lstm": nn.LSTM, "gru": nn.GRU}[options["kind"]](*options["sizes"],
                                                               **options["options"])
    with torch.no_grad():
        for parameter in module.parameters():  # so that hard sigmoids reach their ends
            parameter.mul_(3)
    lanes = options["batch"] or 1
    x = torch.randn(options["steps"], lanes, module.input_size)
    if options["lengths"]:
        for lane, length in enumerate(options["lengths"]):
            x[length:, lane] = 0
    rows = module.num_layers * (2 if module.bidirectional else 1)
    state = ()
    if options["state"]:
        state = (torch.rand(rows, lanes, module.proj_size or module.hidden_size) * 2 - 1,)
        if options["kind"] == "lstm":
            state += (torch.randn(rows, lanes, module.hidden_size),)
    return module.eval(), x, state, options


def seed(name):
    return zlib.crc32(f"convention {name}".encode()) % 2**31


def in_dtype(module, x, state, options, dtype, **convention):
    module = module.to(dtype)
    with torch.no_grad():
        results = run(module, x.to(dtype), [part.to(dtype) for part in state],
                      options["lengths"], **convention)
    module.to(torch.float32)
    return results


def check_cells(name):
    """Under PyTorch's own conventions the cells written down here are torch.nn's."""
    module, x, state, options = build(name)
    with torch.no_grad():
        own = in_dtype(module, x, state, options, torch.float64)
        module, given = module.double(), tuple(part.double() for part in state)
        x, lengths = x.double(), options["lengths"]
        hx = None if not given else given if len(given) == 2 else given[0]
        if lengths:
            x = pack_padded_sequence(x, torch.tensor(lengths), enforce_sorted=False)
        module.batch_first = False
        output, final = module(x, hx)
        if lengths:
            output = pad_packed_sequence(output, total_length=options["steps"])[0]
    final = final if isinstance(final, tuple) else (final,)
    for key, expected in zip(("output", "h_n", "c_n"), (output,) + final):
        error = float((own[key] - expected).abs().max())
        assert error < 1e-12, f"{name}: {key} is off by {error:g} from torch.nn"


def make(name, folder):
    check_cells(name)
    module, x, state, options = build(name)
    values = {"input": x}
    if options["lengths"]:
        values["lengths"] = torch.tensor(options["lengths"])
    values.update(zip(("h_0", "c_0"), state))
    for dtype, suffix in ((torch.float32, ""), (torch.float64, "_f64")):
        results = in_dtype(module, x, state, options, dtype, **options["convention"])
        gates = torch.cat([value.flatten() for key, value in results.items() if "gates" in key])
        if options["convention"]["sigmoid"] != "logistic" and options["inside"]:
            assert (gates == 0).any() and (gates == 1).any(), f"{name}: no gate is at its end"
        values.update({name + suffix: value for name, value in results.items()
                       if options["inside"] or "_l" not in name})
    for key, value in values.items():
        if key == "lengths":
            continue
        if options["batch"] is None:
            value = value.squeeze(1)
        elif module.batch_first and not key.startswith(("h_", "c_n", "c_0")):
            value = value.transpose(0, 1)
        values[key] = value.contiguous()
    target = os.path.join(folder, name)
    os.makedirs(target, exist_ok=True)
    export(module, os.path.join(target, "model.h5"), seed=seed(name))
    _write(os.path.join(target, "golden.h5"), values.items(),
           {**options["convention"], "seed": str(seed(name))})


# ONNX Runtime


def onnx_layer(module, layer, options, x, state):
    """(output [T, N, D * H], [h_n, c_n]) of one layer by ONNX Runtime, in float32."""
    import onnx
    import onnxruntime

    hidden, is_lstm = module.hidden_size, isinstance(module, nn.LSTM)
    directions = 2 if module.bidirectional else 1
    order = (0, 3, 1, 2) if is_lstm else (1, 0, 2)  # i o f c, z r h

    def gates(name):
        rows = [getattr(module, f"{name}_l{layer}{suffix}").detach().numpy()
                for suffix in ("", "_reverse")[:directions]]
        return np.stack([np.concatenate([np.split(row, len(order))[gate] for gate in order])
                         for row in rows])

    feeds = {"X": x, "W": gates("weight_ih"), "R": gates("weight_hh")}
    if module.bias:
        feeds["B"] = np.concatenate((gates("bias_ih"), gates("bias_hh")), axis=1)
    if options["lengths"]:
        feeds["L"] = np.array(options["lengths"], np.int32)
    for name, part in zip(("H", "C"), state):
        feeds[name] = part[layer * directions:(layer + 1) * directions].numpy()
    sigmoid = options["convention"]["sigmoid"]
    curves = ["Sigmoid" if sigmoid == "logistic" else "HardSigmoid"] + ["Tanh"] * (1 + is_lstm)
    attributes = {"activations": curves * directions, "hidden_size": hidden,
                  "direction": "bidirectional" if directions == 2 else "forward"}
    if sigmoid != "logistic":
        attributes["activation_alpha"] = [0.2 if sigmoid == "hard_keras2" else 1 / 6] * directions
        attributes["activation_beta"] = [0.5] * directions
    if not is_lstm:
        attributes["linear_before_reset"] = int(options["convention"]["gru_reset"] == "after")
    places = ["X", "W", "R", "B", "L", "H", "C"][:7 if is_lstm else 6]
    outputs = ["Y", "Y_h", "Y_c"][:3 if is_lstm else 2]
    node = onnx.helper.make_node("LSTM" if is_lstm else "GRU",
                                 [place if place in feeds else "" for place in places],
                                 outputs, **attributes)
    info = onnx.helper.make_tensor_value_info
    types = {name: onnx.TensorProto.INT32 if name == "L" else onnx.TensorProto.FLOAT
             for name in feeds}
    graph = onnx.helper.make_graph(
        [node], "layer", [info(name, types[name], feed.shape) for name, feed in feeds.items()],
        [info(name, onnx.TensorProto.FLOAT, None) for name in outputs])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 14)],
                                   ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(),
                                           providers=["CPUExecutionProvider"])
    output, *finals = session.run(None, feeds)
    steps, _, lanes, _ = output.shape  # [T, D, N, H]
    return output.transpose(0, 2, 1, 3).reshape(steps, lanes, directions * hidden), finals


def compare_with_onnx(names):
    """Print how far ONNX Runtime's float32 is from the float64 results; returns the exit status."""
    worst = 0
    for name in names:
        module, x, state, options = build(name)
        if module.proj_size:
            continue  # ONNX has none
        results = in_dtype(module, x, state, options, torch.float64, **options["convention"])
        output, finals = x.numpy(), []
        for layer in range(module.num_layers):
            output, final = onnx_layer(module, layer, options, output, state)
            finals.append(final)
        found = {"output": output}
        found.update(zip(("h_n", "c_n"), (np.concatenate(part) for part in zip(*finals))))
        error = max(float(np.abs(value - results[key].numpy()).max())
                    for key, value in found.items())
        print(f"{name}: {error:.2g}")
        worst = max(worst, error)
    print(f"the largest difference is {worst:.2g}")
    return 0 if worst < 5e-6 else 1


def check(names):
    """Make `names` anew elsewhere and compare; returns the exit status."""
    agree = 0
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            make(name, folder)
            found = [f"{name}/{file}: {line}" for file in ("model.h5", "golden.h5")
                     for line in make_fixtures.differences(os.path.join(FIXTURES, name, file),
                                                           os.path.join(folder, name, file))]
            print("".join(line + "\n" for line in found), end="")
            agree += not found
    print(f"{agree} of {len(names)} cases agree")
    return 0 if agree == len(names) else 1


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--check", action="store_true", help="compare with the files there are")
    parser.add_argument("--onnx", action="store_true", help="compare with ONNX Runtime")
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.check:
        return check(list(CASES))
    if args.onnx:
        return compare_with_onnx(list(CASES))
    if os.path.isdir(FIXTURES):
        shutil.rmtree(FIXTURES)
    for name in CASES:
        make(name, FIXTURES)
    print(f"{len(CASES)} cases made")
    return 0


if __name__ == "__main__":
    sys.exit(main())
