import Checkpoints
import RecurrentNetworks

/// A recurrent module under names that are not PyTorch's, as far as names and shapes tell what it is.
struct ForeignModule: Encodable {
  struct Role: Encodable {
    var name: String
    var shape: [Int]
    /// What the tensor probably is.
    var role: String
  }

  var name: String
  /// `lstm`, `gru` or `rnn`.
  var type: String
  var description: String
  var evidence: [String]
  var tensors: [Role]
  /// What `--set` would have to say once the tensors have PyTorch's names and forms.
  var settings: [String]
  /// Whose names these are.
  var framework: Framework

  enum Framework: String, Encodable {
    case keras2 = "Keras 2"
    case keras3 = "Keras 3"
    case tensorFlow = "TensorFlow"
    case onnx = "ONNX"
    case mlx = "MLX"
    case flax = "Flax"
    case coreML = "Core ML"
    case cuDNN = "cuDNN"
  }

  /// The modules among tensors.
  static func all(in tensors: [StoredTensor]) -> [ForeignModule] {
    var groups: [String: TensorGroup] = [:]
    var order: [String] = []
    func add(_ tensor: StoredTensor, _ group: String, _ leaf: String) {
      if groups[group] == nil { order.append(group) }
      groups[group, default: TensorGroup(path: group)].add(tensor, leaf)
    }
    for tensor in tensors {
      let path = TensorPath(tensor.name)
      add(tensor, path.group, path.leaf)
      // Flax and the old cells of TensorFlow have a group for each gate.
      if !path.group.isEmpty {
        let outer = path.outer
        add(tensor, outer.group, "\(outer.leaf)/\(path.leaf)")
      }
    }
    return order.compactMap { path in groups[path]?.module }
  }
}

/// The tensors of one path, by what they are called there.
private struct TensorGroup {
  let path: String
  private var tensors: [String: StoredTensor] = [:]
  /// The kinds by the number of blocks that stand beside or below one another.
  private static let kinds: [Int: RecurrentConfiguration.Kind] = [1: .rnn, 3: .gru, 4: .lstm]

  init(path: String) { self.path = path }

  mutating func add(_ tensor: StoredTensor, _ leaf: String) {
    if tensors[leaf] == nil { tensors[leaf] = tensor }
  }

  /// What the tensors that stand here themselves are called, and not in a group of their own.
  private var own: [String] { tensors.keys.filter { !$0.contains("/") }.sorted() }

  private func shape(_ leaf: String) -> [Int]? { tensors[leaf]?.shape.dimensions }

  private func matrix(_ leaf: String) -> (rows: Int, columns: Int)? {
    guard let shape = shape(leaf), shape.count == 2, shape[0] > 0, shape[1] > 0 else { return nil }
    return (shape[0], shape[1])
  }

  var module: ForeignModule? {
    keras ?? onnx ?? mlx ?? flax ?? tensorFlow ?? coreML ?? cuDNN
  }

  private func module(
    _ framework: ForeignModule.Framework, _ kind: RecurrentConfiguration.Kind, _ input: Int,
    _ hidden: Int, isBidirectional: Bool = false, evidence: [String],
    _ roles: [(leaf: String, role: String)], settings: [String]
  ) -> ForeignModule {
    var configuration = RecurrentConfiguration(kind: kind, inputSize: input, hiddenSize: hidden)
    configuration.isBidirectional = isBidirectional
    return ForeignModule(
      name: path, type: kind.rawValue, description: configuration.description, evidence: evidence,
      tensors: roles.compactMap { leaf, role in
        tensors[leaf].map {
          ForeignModule.Role(name: $0.name, shape: $0.shape.dimensions, role: role)
        }
      }, settings: settings, framework: framework)
  }

  private func evidence(
    _ kind: RecurrentConfiguration.Kind, _ leaf: String, _ gates: Int, _ hidden: Int,
    across: String, along: String
  ) -> String {
    "\(kind.rawValue.uppercased()): \(leaf) has \(gates) × \(hidden) \(across) for \(hidden) \(along)"
  }

  private static let kerasOrders = ["lstm": ["gate_order=ifgo"], "gru": ["gate_order=zrn"]]

  /// `kernel`, `recurrent_kernel` and `bias`; in Keras 3's files `vars.0`, `vars.1` and `vars.2`.
  private var keras: ForeignModule? {
    let isThird = TensorPath(path).leaf == "vars"
    let names = isThird ? ("0", "1", "2") : ("kernel", "recurrent_kernel", "bias")
    guard let kernel = matrix(names.0), let recurrent = matrix(names.1),
      recurrent.columns == kernel.columns, recurrent.columns % recurrent.rows == 0,
      let kind = Self.kinds[recurrent.columns / recurrent.rows]
    else { return nil }
    let (hidden, gates) = (recurrent.rows, kind.gateCount)
    var lines = [
      evidence(kind, names.1, gates, hidden, across: "columns", along: "rows"),
      "input size \(kernel.rows): \(names.0) has \(kernel.rows) rows",
      "matrices [inputs, outputs], as Keras has them",
    ]
    var settings = ["transpose=true"] + (Self.kerasOrders[kind.rawValue] ?? [])
    var bias = "the one bias, \(gates) × \(hidden)"
    let sizes = shape(names.2)
    if sizes == nil {
      lines.append("no bias")
    } else if kind == .gru, sizes == [2, gates * hidden] {
      bias = "both biases: row 0 b_ih, row 1 b_hh"
      lines.append("reset_after=True: the bias has two rows")
      settings.append("gru_reset=after")
    } else if kind == .gru, sizes == [gates * hidden] {
      lines.append("reset_after=False: the bias has one row of \(gates) × \(hidden)")
      settings.append("gru_reset=before")
    } else if sizes == [2 * gates * hidden] {
      bias = "both biases, b_ih before b_hh"
      lines.append("cuDNN layer: the bias has 2 × \(gates) × \(hidden) values")
    }
    return module(
      isThird ? .keras3 : .keras2, kind, kernel.rows, hidden, evidence: lines,
      [
        (names.0, "W_ih transposed, [inputs, gates × hidden]"),
        (names.1, "W_hh transposed, [hidden, gates × hidden]"), (names.2, bias),
      ], settings: settings)
  }

  /// W [D, G·H, I], R [D, G·H, H], B [D, 2·G·H] of the operators RNN, GRU and LSTM.
  private var onnx: ForeignModule? {
    guard
      let stem = own.first(where: { $0 == "R" || $0.hasSuffix("_R") })?
        .dropLast(),
      let recurrent = shape("\(stem)R"), let input = shape("\(stem)W"), recurrent.count == 3,
      input.count == 3, recurrent[2] > 0, (1...2).contains(recurrent[0]),
      recurrent[0] == input[0], recurrent[1] == input[1], recurrent[1] % recurrent[2] == 0,
      let kind = Self.kinds[recurrent[1] / recurrent[2]]
    else { return nil }
    let (hidden, gates) = (recurrent[2], kind.gateCount)
    let orders = ["lstm": ["gate_order=iofg"], "gru": ["gate_order=zrn"]]
    let order = kind == .lstm ? "i o f g" : "z r n"
    return module(
      .onnx, kind, input[2], hidden, isBidirectional: recurrent[0] == 2,
      evidence: [
        evidence(kind, "\(stem)R", gates, hidden, across: "rows", along: "columns"),
        "\(recurrent[0].counted("direction")): the first dimension of \(stem)W and \(stem)R",
      ],
      [
        ("\(stem)W", "W_ih of each direction" + (gates > 1 ? ", gates in the order \(order)" : "")),
        ("\(stem)R", "W_hh of each direction, likewise"),
        ("\(stem)B", "b_ih and b_hh of each direction, one behind the other"),
        ("\(stem)P", "peepholes, which PyTorch does not have"),
      ],
      settings: (orders[kind.rawValue] ?? []) + (kind == .gru ? ["gru_reset=before"] : []))
  }

  /// `Wx`, `Wh`, `bias` of an LSTM, `Wx`, `Wh`, `b`, `bhn` of a GRU, `Wxh`, `Whh`, `bias` of an RNN.
  private var mlx: ForeignModule? {
    let names = tensors["Wxh"] == nil ? ("Wx", "Wh") : ("Wxh", "Whh")
    guard let input = matrix(names.0), let recurrent = matrix(names.1),
      input.rows == recurrent.rows, recurrent.rows % recurrent.columns == 0,
      let kind = Self.kinds[recurrent.rows / recurrent.columns]
    else { return nil }
    let hidden = recurrent.columns
    return module(
      .mlx, kind, input.columns, hidden,
      evidence: [
        evidence(kind, names.1, kind.gateCount, hidden, across: "rows", along: "columns"),
        "input size \(input.columns): \(names.0) has \(input.columns) columns",
      ],
      [
        (names.0, "W_ih"), (names.1, "W_hh"),
        ("bias", "b_ih + b_hh"),
        ("b", "b_ih, with b_hh of the gates r and z added"), ("bhn", "b_hh of the gate n"),
      ], settings: [])
  }

  /// A dense layer for each gate: `ii`, `if`, `ig`, `io` for the inputs, `hi`, `hf`, `hg`, `ho` for the
  /// state; `ir`, `iz`, `in`, `hr`, `hz`, `hn` in a GRU.
  private var flax: ForeignModule? {
    for (kind, letters) in [(RecurrentConfiguration.Kind.lstm, "ifgo"), (.gru, "rzn")] {
      let kernels = letters.map { (input: "i\($0)/kernel", hidden: "h\($0)/kernel") }
      guard
        kernels.allSatisfy({ matrix($0.input) != nil && matrix($0.hidden) != nil }),
        let input = matrix(kernels[0].input), let recurrent = matrix(kernels[0].hidden),
        recurrent.rows == recurrent.columns, input.columns == recurrent.rows
      else { continue }
      let hidden = recurrent.rows
      return module(
        .flax, kind, input.rows, hidden,
        evidence: [
          "\(kind.rawValue.uppercased()): a matrix for each of the gates \(letters.map(String.init).joined(separator: " ")), "
            + "\(kernels[0].hidden) is [\(hidden), \(hidden)]",
          "input size \(input.rows): \(kernels[0].input) has \(input.rows) rows",
          "matrices [inputs, outputs], as Flax has them",
        ],
        letters.flatMap { letter in
          [
            ("i\(letter)/kernel", "W_ih of the gate \(letter), transposed"),
            ("h\(letter)/kernel", "W_hh of the gate \(letter), transposed"),
            ("i\(letter)/bias", "b_ih of the gate \(letter)"),
            (
              "h\(letter)/bias",
              kind == .gru ? "b_hh of the gate \(letter)" : "the bias of the gate \(letter)"
            ),
          ]
        }, settings: ["transpose=true"])
    }
    return nil
  }

  /// The old cells: one `kernel` [I + H, G·H].
  private var tensorFlow: ForeignModule? {
    guard let kernel = matrix("kernel"), let bias = shape("bias"), bias == [kernel.columns],
      TensorPath(path).leaf.contains("lstm_cell"), kernel.columns % 4 == 0,
      kernel.rows > kernel.columns / 4
    else { return nil }
    let hidden = kernel.columns / 4
    return module(
      .tensorFlow, .lstm, kernel.rows - hidden, hidden,
      evidence: [
        "LSTM: the cell is called \(TensorPath(path).leaf), and bias has 4 × \(hidden) values",
        "input size \(kernel.rows - hidden): kernel has \(kernel.rows) rows, of which \(hidden) are for the state",
      ],
      [
        ("kernel", "W_ih over W_hh, transposed, gates in the order i g f o"),
        ("bias", "the one bias, without the 1 that the cell adds to the forget gate"),
      ], settings: ["transpose=true", "gate_order=igfo", "forget_bias=1"])
  }

  /// `inputGateWeightMatrix`, `forgetGateRecursionMatrix`, … of a neural network's unidirectional layers.
  private var coreML: ForeignModule? {
    for (kind, gate) in [(RecurrentConfiguration.Kind.lstm, "forgetGate"), (.gru, "resetGate")] {
      guard let input = matrix("\(gate)WeightMatrix"),
        let recurrent = matrix("\(gate)RecursionMatrix"), recurrent.rows == recurrent.columns
      else { continue }
      let gates =
        kind == .lstm
        ? ["inputGate", "forgetGate", "blockInput", "outputGate"]
        : ["resetGate", "updateGate", "outputGate"]
      return module(
        .coreML, kind, input.columns, recurrent.rows,
        evidence: ["\(kind.rawValue.uppercased()): a matrix for each gate, named as in Core ML"],
        gates.flatMap { gate in
          [
            ("\(gate)WeightMatrix", "W_ih of \(gate)"),
            ("\(gate)RecursionMatrix", "W_hh of \(gate)"),
            ("\(gate)BiasVector", "the bias of \(gate)"),
          ]
        }, settings: [])
    }
    return nil
  }

  /// One vector of all weights, which only sizes could take apart.
  private var cuDNN: ForeignModule? {
    for leaf in own {
      let name = leaf.lowercased()
      guard ["flat_weight", "opaque_kernel", "cudnn"].contains(where: name.contains),
        let shape = shape(leaf), shape.count == 1, shape[0] > 0
      else { continue }
      return ForeignModule(
        name: path, type: "unknown", description: "weights of \(shape[0]) values in one vector",
        evidence: ["\(leaf) is one vector, as cuDNN takes its weights"],
        tensors: [
          ForeignModule.Role(
            name: tensors[leaf]?.name ?? leaf, shape: shape,
            role: "all W_ih and W_hh, layer by layer, then all biases")
        ], settings: [], framework: .cuDNN)
    }
    return nil
  }
}
