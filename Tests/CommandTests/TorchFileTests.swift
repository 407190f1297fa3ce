import Checkpoints
import Foundation
import TestSupport
import Testing

/// Files that nine versions of PyTorch wrote, converted by the tool and verified on what the same version
/// computed with them.
@Suite struct TorchFileTests {
  /// What `expected.json` says of a file with goldens, or with folded parameters.
  struct File: Decodable, Sendable, CustomTestStringConvertible {
    struct Folded: Decodable, Sendable {
      var name: String
      var dtype: String
      var shape: [Int]
      var hex: String
    }

    /// `2.15.0/whole-model.pt`.
    var name = ""
    var golden: String?
    var convert: [String]?
    var key: String?
    var folded: [Folded]?

    private enum CodingKeys: CodingKey { case golden, convert, key, folded }

    var path: String { Fixtures.path("torch/\(name)") }
    /// The golden's path.
    var goldenPath: String {
      let folder = path.dropLast(path.split(separator: "/").last?.count ?? 0)
      return folder + (golden ?? "")
    }
    /// The options that the file is to be converted with.
    var options: [String] { (convert ?? []) + (key.map { ["--key", $0] } ?? []) }
    var testDescription: String { name }
  }

  private struct Folder: Decodable { var files: [String: File] }

  static let files: [File] = {
    let versions = try? FileManager.default.contentsOfDirectory(atPath: Fixtures.path("torch"))
    return (versions ?? []).sorted().flatMap { version -> [File] in
      let path = Fixtures.path("torch/\(version)/expected.json")
      guard let data = FileManager.default.contents(atPath: path),
        let folder = try? JSONDecoder().decode(Folder.self, from: data)
      else { return [] }
      return folder.files.sorted { $0.key < $1.key }.map { name, file in
        var file = file
        file.name = "\(version)/\(name)"
        return file
      }
    }
  }()

  static let withGoldens = files.filter { $0.golden != nil }
  static let withFolds = files.filter { $0.folded != nil }

  @Test func thereAreFilesOfEveryVersion() {
    #expect(Set(Self.withGoldens.map { $0.name.prefix { $0 != "/" } }).count == 9)
    #expect(Set(Self.withFolds.map { $0.name.prefix { $0 != "/" } }).count == 9)
  }

  @Test(arguments: withGoldens)
  func verifies(file: File) throws {
    let directory = try TemporaryDirectory()
    let converted = try Tool.run(
      ["convert", file.path, "model.strata", "--golden", file.goldenPath] + file.options,
      in: directory)
    #expect(converted.status == 0, "\(converted)")
    for precision in ["float32", "reference"] {
      let verified = try Tool.run(
        ["verify", "model.strata", "--precision", precision], in: directory)
      #expect(verified.status == 0, "\(file.name): \(verified)")
    }
  }

  @Test(arguments: withFolds)
  func folds(file: File) throws {
    let directory = try TemporaryDirectory()
    let converted = try Tool.run(
      ["convert", file.path, "model.strata"] + file.options, in: directory)
    #expect(converted.status == 0, "\(converted)")
    let checkpoint = try Checkpoint(contentsOf: directory.path + "/model.strata")
    for folded in try #require(file.folded) {
      let tensor = try #require(checkpoint.stateDict[folded.name], "\(file.name): \(folded.name)")
      #expect(tensor.dtype.rawValue == folded.dtype)
      #expect(tensor.shape.dimensions == folded.shape)
      let units = zip(tensor.bytes.patterns, [UInt8](hexadecimal: folded.hex).patterns)
        .map { abs(Int($0) - Int($1)) }
      // The kernels of torch before 1.13 sum in another order, and so in other bits.
      let isOld = ["1.0.", "1.3.", "1.7.", "1.10."].contains { file.name.hasPrefix($0) }
      #expect(units.count == tensor.shape.elementCount)
      #expect(try #require(units.max()) <= (isOld ? 4 : 0), "\(file.name): \(folded.name)")
    }
  }
}

extension Bytes {
  /// The bits of float32 numbers.
  fileprivate var patterns: [UInt32] { array.patterns }
}

extension [UInt8] {
  fileprivate var patterns: [UInt32] {
    stride(from: 0, to: count, by: 4).map { start in
      self[start..<(start + 4)].reversed().reduce(0) { $0 << 8 | UInt32($1) }
    }
  }
}
