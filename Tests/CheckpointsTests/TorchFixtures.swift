import Checkpoints
import Foundation
import TestSupport

/// The files under fixtures/torch, written by torch itself, and what it reads in them.
enum TorchFixtures {
  struct Expected: Decodable {
    struct Tensor: Decodable {
      var name: String
      var dtype: String
      var shape: [Int]?
      var hex: String?
      /// The code, where the tensor is listed but not read.
      var refused: String?
    }

    var tensors: [Tensor]?
    /// The code, where the file is not read.
    var refused: String?
    /// Whether the tensors have an order; a plain dictionary of Python 2 has none.
    var isOrdered: Bool?
    /// The path of the state dict that is meant.
    var key: String?
    /// The options of modules by path.
    var modules: [String: [String: ModuleRecord.Option]]?
  }

  private struct Folder: Decodable {
    var python: String
    var files: [String: Expected]
  }

  /// Every file, as `<version>/<name>`.
  static let names: [String] = expected.keys.sorted()

  static let expected: [String: Expected] = {
    let versions = try? FileManager.default.contentsOfDirectory(atPath: Fixtures.path("torch"))
    var expected: [String: Expected] = [:]
    for version in versions ?? [] {
      let path = Fixtures.path("torch/\(version)/expected.json")
      guard let data = FileManager.default.contents(atPath: path),
        let folder = try? JSONDecoder().decode(Folder.self, from: data)
      else { continue }
      for (name, file) in folder.files {
        expected["\(version)/\(name)"] = file
        expected["\(version)/\(name)"]?.isOrdered = !folder.python.hasPrefix("2.")
      }
    }
    return expected
  }()

  static func path(_ name: String) -> String { Fixtures.path("torch/\(name)") }
}

extension Bytes {
  /// The bytes as hexadecimal digits.
  var hex: String { array.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined() }
}
