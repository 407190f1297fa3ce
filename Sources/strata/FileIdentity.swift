import Checkpoints

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// Refuses a target that is one of the files a command reads, whatever it is called.
/// - Throws: `sameFile`.
func refuse(target: String, amongInputs inputs: [String]) throws(CheckpointError) {
  guard let identity = FileIdentity(target) else { return }
  for input in inputs where FileIdentity(input) == identity {
    throw CheckpointError(.sameFile, file: target, "the command reads this file: \(input)")
  }
}

/// Which file stands at a path, links followed.
private struct FileIdentity: Equatable {
  private let device: Int
  private let number: Int

  /// Nil when there is no file.
  init?(_ path: String) {
    let resolved = URL(filePath: path).resolvingSymlinksInPath().path
    guard let attributes = try? FileManager.default.attributesOfItem(atPath: resolved),
      let device = attributes[.systemNumber] as? Int,
      let number = attributes[.systemFileNumber] as? Int
    else { return nil }
    self.device = device
    self.number = number
  }
}
