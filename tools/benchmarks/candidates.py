"""The runtimes that are compared, each ready to make one call again and again.

A candidate has `outputs(inputs)`, an array of what calls give for arrays, and
`microseconds(seconds)`, how long a call takes on average when calls are made for that long. Each
call begins with a zero state.
"""

import copy
import itertools
import os
import subprocess
import time

import numpy as np
import onnx
import onnxruntime
import openvino
import torch
from onnx import TensorProto, helper, numpy_helper

# The operator, and the order in which it has PyTorch's gates.
ONNX = {"rnn": ("RNN", [0]), "lstm": ("LSTM", [0, 3, 1, 2]), "gru": ("GRU", [1, 0, 2])}
# Steps times sequences of all inputs together.
LEAST_ROWS = 64
TORCH = {"rnn": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}


class Network(torch.nn.Module):
    """The network of a cell as PyTorch initialises it, and the inputs that every candidate gets.

    The first is for the times. A call that gives few numbers tells little of their accuracy, so
    there are more inputs where one is short.
    """

    def __init__(self, cell, folder):
        super().__init__()
        torch.manual_seed(1)
        self.cell = cell
        self.rnn = TORCH[cell.kind](cell.input_size, cell.hidden_size, cell.layers,
                                    bidirectional=cell.directions == 2)
        if cell.has_head:
            self.head = torch.nn.Linear(cell.hidden_size, 1)
        count = max(1, LEAST_ROWS // (cell.steps * cell.batch))
        self.inputs = torch.randn(count, cell.steps, cell.batch, cell.input_size).numpy()
        self.input = self.inputs[0]
        self.path = os.path.join(folder, "model.pt")
        self.inputs_path = os.path.join(folder, "inputs")
        torch.save(self.state_dict(), self.path)
        self.inputs.tofile(self.inputs_path)

    def forward(self, value):
        output, _ = self.rnn(value)
        return self.head(output) if self.cell.has_head else output

    def reference(self):
        """The outputs in float64."""
        network = copy.deepcopy(self).double()
        with torch.inference_mode():
            return np.stack([network(torch.from_numpy(array).double()).numpy()
                             for array in self.inputs])

    def onnx(self):
        """The network as an ONNX file's bytes; what PyTorch's own exporter makes of it, by hand."""
        cell, nodes, tensors, value = self.cell, [], [], "input"

        def constant(name, array):
            tensors.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
            return name

        operator, order = ONNX[cell.kind]
        options = {"linear_before_reset": 1} if cell.kind == "gru" else {}
        for layer in range(cell.layers):
            def stacked(name):
                both = []
                for end in ("", "_reverse")[:cell.directions]:
                    array = getattr(self.rnn, f"{name}_l{layer}{end}").detach().numpy()
                    gates = array.reshape(len(order), cell.hidden_size, *array.shape[1:])
                    both.append(gates[order].reshape(array.shape))
                return np.stack(both)

            bias = np.concatenate([stacked("bias_ih"), stacked("bias_hh")], axis=1)
            inputs = [value, constant(f"W{layer}", stacked("weight_ih")),
                      constant(f"R{layer}", stacked("weight_hh")), constant(f"B{layer}", bias)]
            nodes.append(helper.make_node(
                operator, inputs, [f"all{layer}"], hidden_size=cell.hidden_size,
                direction="bidirectional" if cell.directions == 2 else "forward", **options))
            # [steps, directions, batch, units] to [steps, batch, features].
            value = f"output{layer}"
            if cell.directions == 1:
                axis = constant(f"axis{layer}", np.array([1]))
                nodes.append(helper.make_node("Squeeze", [f"all{layer}", axis], [value]))
            else:
                shape = constant(f"shape{layer}", np.array([0, 0, 2 * cell.hidden_size]))
                nodes.append(helper.make_node("Transpose", [f"all{layer}"], [f"turned{layer}"],
                                              perm=[0, 2, 1, 3]))
                nodes.append(helper.make_node("Reshape", [f"turned{layer}", shape], [value]))
        if cell.has_head:
            weight = constant("weight", self.head.weight.detach().numpy().T)
            bias = constant("bias", self.head.bias.detach().numpy())
            nodes.append(helper.make_node("MatMul", [value, weight], ["product"]))
            nodes.append(helper.make_node("Add", ["product", bias], ["y"]))
            value = "y"
        graph = helper.make_graph(
            nodes, cell.kind,
            [helper.make_tensor_value_info("input", TensorProto.FLOAT, list(self.input.shape))],
            [helper.make_tensor_value_info(value, TensorProto.FLOAT, None)], tensors)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
        model.ir_version = 8
        return model.SerializeToString()


class Peer:
    """A candidate in this process, that a function `call` runs once; `output` does for an array."""

    def outputs(self, inputs):
        return np.stack([self.output(array) for array in inputs])

    def microseconds(self, seconds):
        """Calls in groups that grow until one takes `seconds`; that one counts.

        The first call wakes threads and fills caches, and never counts.
        """
        self.call()
        calls = 1
        while True:
            begin = time.perf_counter()
            for _ in itertools.repeat(None, calls):
                self.call()
            elapsed = time.perf_counter() - begin
            if elapsed >= seconds:
                return elapsed / calls * 1e6
            calls = max(2 * calls, int(1.1 * seconds / max(elapsed, 1e-8) * calls))


class PyTorch(Peer):
    """The module itself, called in inference mode."""

    def __init__(self, network):
        value = torch.from_numpy(network.input)
        self.network, self.call = network, lambda: network(value)

    def microseconds(self, seconds):
        with torch.inference_mode():
            return super().microseconds(seconds)

    def output(self, array):
        with torch.inference_mode():
            return self.network(torch.from_numpy(array)).numpy()


class ONNXRuntime(Peer):
    """A session, run on an array."""

    def __init__(self, network, threads):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(
            network.onnx(), options, providers=["CPUExecutionProvider"])
        inputs = {"input": network.input}
        self.call = lambda: self.session.run(None, inputs)

    def output(self, array):
        return self.session.run(None, {"input": array})[0]


class BoundONNXRuntime(Peer):
    """The same session with the memory of input and output bound beforehand."""

    def __init__(self, runtime, network):
        session = runtime.session
        self.value = onnxruntime.OrtValue.ortvalue_from_numpy(network.input.copy())
        self.result = onnxruntime.OrtValue.ortvalue_from_numpy(runtime.output(network.input))
        binding = session.io_binding()
        binding.bind_ortvalue_input("input", self.value)
        binding.bind_ortvalue_output(session.get_outputs()[0].name, self.result)
        self.call = lambda: session.run_with_iobinding(binding)

    def output(self, array):
        self.value.update_inplace(array)
        self.result.update_inplace(np.full(self.result.shape(), np.nan, np.float32))
        self.call()
        return self.result.numpy().copy()


class OpenVINO(Peer):
    """An inference request with its input set beforehand, in float32 and no less."""

    def __init__(self, network, threads):
        core = openvino.Core()
        model = core.compile_model(core.read_model(network.onnx()), "CPU", {
            "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY",
            "EXECUTION_MODE_HINT": "ACCURACY", "INFERENCE_PRECISION_HINT": "f32"})
        if model.get_property("INFERENCE_NUM_THREADS") != threads:
            raise RuntimeError(f"OpenVINO does not take {threads} threads")
        self.request = model.create_infer_request()
        self.request.set_input_tensor(openvino.Tensor(network.input.copy()))
        self.call = self.request.infer

    def output(self, array):
        self.request.get_input_tensor(0).data[:] = array
        self.call()
        return self.request.get_output_tensor(0).data.copy()


class Server:
    """`runtime-bench`, a process of its own."""

    def __init__(self, executable):
        self.process = subprocess.Popen([executable], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)

    def ask(self, *words):
        """The words of the answer to a request."""
        print(*words, sep="\t", file=self.process.stdin, flush=True)
        status, *answer = self.process.stdout.readline().rstrip("\n").split("\t")
        if status != "ok":
            raise RuntimeError(f"runtime-bench: {' '.join(map(str, words))}: {' '.join(answer)}")
        return answer

    def close(self):
        self.process.communicate("quit\n")


class Strata:
    """A session of this library, in the server."""

    def __init__(self, server, network, threads, name="strata"):
        self.server, self.name, self.network = server, name, network
        server.ask("load", name, network.path, network.inputs_path, network.cell.steps,
                   network.cell.batch, threads)

    def microseconds(self, seconds):
        return float(self.server.ask("time", self.name, seconds)[0])

    def stream_microseconds(self, seconds):
        """Where each call goes on from the last one's state: from zero, a step is less work."""
        return float(self.server.ask("stream", self.name, seconds)[0])

    def outputs(self, inputs):
        path = self.network.inputs_path + ".outputs"
        self.server.ask("outputs", self.name, path)
        return np.fromfile(path, np.float32)


def versions():
    """The versions of everything that is compared."""
    return {"PyTorch": torch.__version__, "ONNX Runtime": onnxruntime.__version__,
            "OpenVINO": openvino.__version__.split("-")[0], "onnx": onnx.__version__,
            "numpy": np.__version__}
