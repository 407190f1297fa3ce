public import Checkpoints

extension ParameterMapping {
  /// Whether no parameter is missing, unexpected or of a wrong shape.
  public var isComplete: Bool {
    missing.isEmpty && unexpected.isEmpty && mismatched.isEmpty && impossible.isEmpty
  }

  /// Throws the first fault, and tells of the others.
  /// - Throws: `shapeMismatch`, `parameterMissing`, `parameterUnexpected`.
  public func requireComplete() throws(CheckpointError) {
    var faults = impossible.map { $0.located(file: file) }
    faults += mismatched.map {
      CheckpointError(
        .shapeMismatch, file: file, tensor: $0.name, "shape \($0.found), expected \($0.expected)")
    }
    let names = Set(contents.tensors.map(\.name))
    faults += missing.map { name in
      let module = ParameterName(name).flatMap { description[$0.module]?.recurrent }
      let disguise = Disguise(of: name, among: names).map { "; \($0.description)" } ?? ""
      return CheckpointError(
        .parameterMissing, file: file, tensor: name,
        "missing: \(module?.description ?? "a recurrent module") has this parameter\(disguise)")
    }
    faults += unexpected.map { name in
      let way =
        Disguise(holding: name, among: names).map { "; \($0.description)" }
        ?? nearest[name].map { "; the nearest is \($0)" } ?? ""
      return CheckpointError(
        .parameterUnexpected, file: file, tensor: name,
        "the tensor stands in a recurrent module, which has no such parameter; leave it out with "
          + "--exclude if it is none\(way)")
    }
    guard var first = faults.first else { return }
    if faults.count > 1 {
      // A line is for a person; `missing`, `unexpected` and `mismatched` hold them all.
      let others = faults.dropFirst().prefix(5).map { fault in
        let name = fault.tensor ?? ""
        let near = fault.code == .parameterUnexpected ? nearest[name] : nil
        return "\(name) (\(fault.code.rawValue)\(near.map { ", the nearest is \($0)" } ?? ""))"
      }
      first.reason += "; also \(others.joined(separator: ", "))"
      if faults.count > 6 { first.reason += " and \(faults.count - 6) more" }
    }
    throw first
  }
}
