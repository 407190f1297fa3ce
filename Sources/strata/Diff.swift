import ArgumentParser
import Checkpoints
import RecurrentNetworks

struct Diff: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "diff", abstract: "Tell in what two checkpoints differ.",
    discussion: """
      Tensors are compared by name, dtype, shape and values; a tensor whose name is only in A and whose \
      bits are under another name in B alone is renamed. Without --atol and --rtol values must have the \
      same bits. A changed tensor is told with its largest difference, where that stands, the relative \
      norm |a - b| / |a|, and for a parameter of a recurrent module the layer, the direction, the gate, \
      and the relative norm of every gate; a tensor in another dtype with whether B's values are A's, \
      rounded.

      Options of the modules (nonlinearity, batch_first, what the head does, and so on) are compared as \
      they count, told by the file or assumed. Metadata and goldens are compared too. They make the \
      files different unless one of the two formats has no place for them; metadata also not \
      where strata_provenance alone differs, by which convert tells where a file comes from. What does \
      not count is told all the same.

      Exit status 0 when nothing differs that counts, 1 when they differ, 2 when one cannot be read.

      --key counts for each file that has something at that path, or several state dicts; another file \
      is taken as it is, so that a state dict of a nested file can be compared with a file of its own. \
      Option of --set: npz_void2=bf16|refuse, what elements of two bytes \
      without a type are in npz and npy files.
      """)

  @Argument(help: "The one file.")
  var a: String

  @Argument(help: "The other file.")
  var b: String

  @OptionGroup var tolerance: ToleranceOptions

  @OptionGroup var reading: InputOptions

  @OptionGroup var options: OutputOptions

  func run() throws {
    let (first, second) = try sides()
    let report = try DifferenceReport(first, second, tolerance.given)
    try Output(options).report(report) { report.words }
    if !report.equal { throw ExitCode(1) }
  }

  /// What both files hold, of the state dicts that are meant.
  private func sides() throws -> (DifferenceReport.Side, DifferenceReport.Side) {
    var choice = try reading.reading()
    let key = choice.stateDict
    if case .at = key { choice.stateDict = .everything }
    let readers = try [a, b].map { file throws(CheckpointError) in
      (file: file, reader: try CheckpointReader(file: file, choice))
    }
    guard case .at = key else {
      let sides = readers.map { DifferenceReport.Side($0.reader, $0.reader.contents) }
      return (sides[0], sides[1])
    }
    // Where neither has anything there, the first one says so.
    let isKnown = readers.contains { (try? $0.reader.contents.choosing(key)) != nil }
    let sides = try readers.map { file, reader throws(CheckpointError) in
      let contents = reader.contents
      do throws(CheckpointError) {
        let isMeant =
          !isKnown || contents.stateDicts.count > 1 || (try? contents.choosing(key)) != nil
        return DifferenceReport.Side(reader, try contents.choosing(isMeant ? key : .only))
      } catch {
        throw error.located(file: file)
      }
    }
    return (sides[0], sides[1])
  }
}

extension DifferenceReport.Side {
  /// What is chosen of a file, and what its format has a place for.
  init(_ reader: CheckpointReader, _ contents: CheckpointContents) {
    let format = Strata.formats.first { $0.name == reader.format }
    self.init(
      contents: contents, holdsMetadata: format?.holdsMetadata ?? true,
      holdsGoldens: format?.holdsGoldens ?? true)
  }
}
