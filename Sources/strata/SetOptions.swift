import ArgumentParser
import Checkpoints
import RecurrentNetworks

/// `--set OPTION=VALUE`, sorted out.
struct SetOptions {
  var model = ModelOptions()
  var hdf5Layout: WriteOptions.HDF5Layout?

  private static let names = ModelOptions.names + ["hdf5_layout"]

  /// - Throws: `ValidationError` for an unknown option or value.
  init(_ arguments: [String]) throws {
    for argument in arguments {
      guard let equals = argument.firstIndex(of: "=") else {
        throw ValidationError("--set '\(argument)': OPTION=VALUE was expected")
      }
      let name = String(argument[..<equals])
      let value = String(argument[argument.index(after: equals)...])
      let fault: String?
      switch name {
      case "hdf5_layout":
        hdf5Layout = WriteOptions.HDF5Layout(rawValue: value)
        fault = hdf5Layout == nil ? "must be flat or nested" : nil
      case _ where Self.names.contains(name):
        fault = model.set(name, to: value)
      default:
        throw ValidationError(
          "--set '\(argument)': unknown option; there are \(Self.names.joined(separator: ", "))")
      }
      if let fault { throw ValidationError("--set '\(argument)': \(fault)") }
    }
  }
}
