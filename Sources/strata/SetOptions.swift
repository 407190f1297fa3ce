import ArgumentParser
import Checkpoints
import RecurrentNetworks

/// `--set OPTION=VALUE`, sorted out.
struct SetOptions {
  var model = ModelOptions()
  var hdf5Layout: WriteOptions.HDF5Layout?
  var npzVoid2 = ReadOptions.NPZVoid2.refuse

  /// What may be said.
  enum Scope {
    /// How a file is read.
    case reading
    /// That, what the model is, and how it is written.
    case converting

    fileprivate var names: [String] {
      switch self {
      case .reading: ["npz_void2"]
      case .converting: ModelOptions.names + ["hdf5_layout", "npz_void2"]
      }
    }
  }

  /// Whether an argument says how a file is packed, and not what it holds.
  static func isPacking(_ argument: String) -> Bool {
    ["hdf5_layout=", "npz_void2="].contains { argument.hasPrefix($0) }
  }

  /// - Throws: `ValidationError` for an unknown option or value.
  init(_ arguments: [String], _ scope: Scope) throws {
    for argument in arguments {
      guard let equals = argument.firstIndex(of: "=") else {
        throw ValidationError("--set '\(argument)': OPTION=VALUE was expected")
      }
      let name = String(argument[..<equals])
      let value = String(argument[argument.index(after: equals)...])
      guard scope.names.contains(name) else {
        throw ValidationError(
          "--set '\(argument)': unknown option; there \(scope.names.count == 1 ? "is" : "are") "
            + scope.names.joined(separator: ", "))
      }
      let fault: String?
      switch name {
      case "hdf5_layout":
        hdf5Layout = WriteOptions.HDF5Layout(rawValue: value)
        fault = hdf5Layout == nil ? "must be flat or nested" : nil
      case "npz_void2":
        let choice = ReadOptions.NPZVoid2(rawValue: value)
        npzVoid2 = choice ?? .refuse
        fault = choice == nil ? "must be bf16 or refuse" : nil
      default:
        fault = model.set(name, to: value)
      }
      if let fault { throw ValidationError("--set '\(argument)': \(fault)") }
    }
  }
}
