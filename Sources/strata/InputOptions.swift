import ArgumentParser
import Checkpoints

/// The options that say how a file is read.
struct InputOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Take the tensors below this path of a nested checkpoint, state_dict or a.b.c; '' for the whole "
        + "file. When left out, the only state dict that there is, or the only one with weights of a recurrent "
        + "module.", valueName: "path"))
  var key: String?

  @Option(
    help: ArgumentHelp(
      "Say what the file does not tell; see above.", valueName: "option=value"))
  var set: [String] = []

  /// Which state dict is meant.
  var stateDict: ReadOptions.StateDictChoice {
    switch key {
    case nil: .only
    case "": .everything
    case .some(let path): .at(path)
    }
  }

  /// What `--set` says where it may only say how a file is read.
  /// - Throws: `ValidationError` for another option.
  func reading() throws -> ReadOptions {
    ReadOptions(npzVoid2: try SetOptions(set, .reading).npzVoid2, stateDict: stateDict)
  }
}

extension CheckpointReader {
  /// Opens a file for the tool: every format by its content.
  ///
  /// All opening of files goes through here.
  init(
    file path: String, _ options: ReadOptions = ReadOptions(),
    as format: (any CheckpointFormat)? = nil
  ) throws(CheckpointError) {
    guard path != "-" else {
      throw CheckpointError(
        .notAFile, file: path,
        "standard input cannot be read at random: write it to a file first (./- is a file of that "
          + "name)")
    }
    try self.init(
      contentsOf: path, formats: format.map { [ForcedFormat(base: $0)] } ?? Strata.formats,
      options: options)
  }
}

/// The file that a command is to write.
enum OutputFile {
  /// Checks that a file is meant.
  /// - Throws: `ValidationError` for `-`.
  static func check(_ path: String) throws {
    guard path != "-" else {
      throw ValidationError(
        "'-': a file is read back before it gets its name, which standard output cannot be (./- is a "
          + "file of that name)")
    }
  }
}

/// A format that recognises everything: the user said so.
private struct ForcedFormat: CheckpointFormat {
  let base: any CheckpointFormat

  var name: String { base.name }
  var fileExtensions: [String] { base.fileExtensions }
  var canShard: Bool { base.canShard }
  var canCompress: Bool { base.canCompress }

  func recognizes(_ source: ByteSource) -> Bool { true }

  func open(
    _ source: ByteSource, options: ReadOptions
  ) throws(CheckpointError) -> CheckpointContents {
    try base.open(source, options: options)
  }

  func dropped(from contents: CheckpointContents) -> [String] { base.dropped(from: contents) }

  func write(
    _ contents: CheckpointContents, to file: borrowing AtomicFile, options: WriteOptions
  ) throws(CheckpointError) -> [UInt32] {
    try base.write(contents, to: file, options: options)
  }
}
