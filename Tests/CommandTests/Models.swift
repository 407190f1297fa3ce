import Checkpoints
import CheckpointsHDF5
import Foundation
import TestSupport
import Testing

/// Every format of the tool.
let formats: [any CheckpointFormat] = .builtIn + [HDF5Format()]

extension Workbench {
  /// Writes a checkpoint in the format that the name's extension says.
  func write(_ checkpoint: Checkpoint, to name: String) throws {
    try write(checkpoint.contents, to: name, options: WriteOptions(replacesExisting: true))
  }

  /// Writes contents in the format that the name's extension says.
  ///
  /// libhdf5 locks what it writes, and a process that another test starts at this moment holds the lock
  /// until it is the program that it is going to be.
  func write(_ contents: CheckpointContents, to name: String, options: WriteOptions) throws {
    let format = try #require(formats.format(forPath: name))
    for _ in 0..<20 {
      do {
        return try contents.write(to: directory.path(name), format: format, options: options)
      } catch {
        guard error.reason.contains("unable to lock file") else { throw error }
        usleep(10_000)
      }
    }
    Issue.record("\(name) is locked all the time")
  }

  /// The bytes of a .strata file as they are without the word of where they come from, in which the
  /// options stand.
  func bytesWithoutProvenance(_ name: String) throws -> [UInt8] {
    var contents = try CheckpointReader(contentsOf: directory.path(name)).contents
    try #require(contents.metadata.removeValue(forKey: "strata_provenance") != nil)
    try write(
      contents, to: "bare.strata",
      options: WriteOptions(compression: .asStored, replacesExisting: true))
    return try directory.read("bare.strata")
  }

  /// Reads a checkpoint of any format.
  func read(_ name: String) throws -> Checkpoint {
    try Checkpoint(contentsOf: directory.path(name), formats: formats)
  }
}

/// A tensor of small random float32 values.
func randomFloats(_ shape: Shape, using generator: inout SeededGenerator) -> Tensor {
  Tensor(
    (0..<shape.elementCount).map { _ in Float.random(in: -0.5...0.5, using: &generator) },
    shape: shape)
}

extension Checkpoint {
  /// A recurrent stack with biases; `gates` is 1 for an RNN, 3 for a GRU, 4 for an LSTM.
  static func stack(
    gates: Int = 4, input: Int = 3, hidden: Int = 5, layers: Int = 1, prefix: String = "",
    bidirectional: Bool = false, seed: UInt64 = 1
  ) -> Checkpoint {
    var generator = SeededGenerator(seed: seed)
    var stateDict = StateDict()
    for layer in 0..<layers {
      let size = layer == 0 ? input : bidirectional ? 2 * hidden : hidden
      for suffix in bidirectional ? ["", "_reverse"] : [""] {
        let shapes: [(String, Shape)] = [
          ("weight_ih", [gates * hidden, size]), ("weight_hh", [gates * hidden, hidden]),
          ("bias_ih", [gates * hidden]), ("bias_hh", [gates * hidden]),
        ]
        for (kind, shape) in shapes {
          stateDict["\(prefix)\(kind)_l\(layer)\(suffix)"] = randomFloats(shape, using: &generator)
        }
      }
    }
    return Checkpoint(stateDict: stateDict)
  }

  /// The checkpoint with a linear layer behind it.
  func adding(linear name: String, _ outputs: Int, _ inputs: Int) -> Checkpoint {
    var generator = SeededGenerator(seed: 2)
    var checkpoint = self
    checkpoint.stateDict["\(name).weight"] = randomFloats([outputs, inputs], using: &generator)
    checkpoint.stateDict["\(name).bias"] = randomFloats([outputs], using: &generator)
    return checkpoint
  }

  /// The checkpoint with another tensor.
  func adding(_ tensor: Tensor, _ name: String) -> Checkpoint {
    var checkpoint = self
    checkpoint.stateDict[name] = tensor
    return checkpoint
  }
}

extension StateDict {
  /// The names in order.
  var names: [String] { map(\.name) }

  /// Names, dtypes, shapes and bits in order, with the names changed.
  func renamed(_ change: (String) -> String) throws -> StateDict {
    var renamed = StateDict()
    for (name, tensor) in self { try renamed.append(tensor, named: change(name)) }
    return renamed
  }
}

/// The names of goldens.
enum Golden {
  private static func last(_ name: String) -> Substring { name.split(separator: ".").last ?? "" }

  /// Whether a tensor is what goes in; everything else came out.
  static func isInput(_ name: String) -> Bool {
    ["input", "input_f64", "h_0", "c_0", "lengths"].contains(last(name))
  }

  /// Whether a tensor shows the inside of a layer.
  static func isInside(_ name: String) -> Bool {
    ["output_l", "c_l", "gates_l"].contains { last(name).hasPrefix($0) }
  }

  /// The tensors of one module without its path before their names.
  static func part(of golden: StateDict, _ path: String) -> StateDict {
    var part = StateDict()
    for (name, tensor) in golden where name.hasPrefix(path + ".") {
      part[String(name.dropFirst(path.count + 1))] = tensor
    }
    return part
  }
}
