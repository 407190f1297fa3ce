public import Foundation

extension Checkpoint {
  /// Maps a resource of a bundle, which is signed and does not change, and checks every checksum.
  /// - Parameters:
  ///   - name: The resource's name without its extension.
  ///   - fileExtension: The resource's extension.
  ///   - bundle: The bundle, `.module` for a package's own resources.
  ///   - formats: The formats to recognise.
  /// - Throws: `fileNotFound`, or as `init(mappingImmutableFileAt:verify:formats:)`.
  public init(
    bundleResource name: String, withExtension fileExtension: String = "strata",
    in bundle: Bundle = .main, formats: [any CheckpointFormat] = .builtIn
  ) throws(CheckpointError) {
    guard let url = bundle.url(forResource: name, withExtension: fileExtension) else {
      throw CheckpointError(
        .fileNotFound, file: "\(name).\(fileExtension)",
        "no such resource in the bundle at \(bundle.bundlePath)")
    }
    try self.init(mappingImmutableFileAt: url.path, formats: formats)
  }
}
