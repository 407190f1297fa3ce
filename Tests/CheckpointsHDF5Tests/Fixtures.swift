import Checkpoints
import CheckpointsHDF5
import Foundation
import Testing

/// The files under fixtures/hdf5, and what they must read as.
enum Fixtures {
  static let hdf5 = URL(filePath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    .appending(path: "fixtures/hdf5")

  /// The names of the files that are to be read.
  static let readable: [String] = {
    guard let expected = try? expected() else { return [] }
    return expected.keys.sorted()
  }()

  /// The names of the files that are to be refused: code, dot, what is in them.
  static let refused: [String] = {
    let names = try? FileManager.default.contentsOfDirectory(
      atPath: hdf5.appending(path: "refused").path())
    return (names ?? []).filter { $0.hasSuffix(".h5") }.sorted()
  }()

  static func path(_ name: String) -> String { hdf5.appending(path: name).path() }

  static func bytes(_ name: String) throws -> [UInt8] {
    [UInt8](try Data(contentsOf: hdf5.appending(path: name)))
  }

  struct Expected: Decodable {
    struct Tensor: Decodable {
      var dtype: String
      var shape: [Int]
      var hex: String
    }

    var tensors: [String: Tensor]
    var attributes: [String: [String: Attribute]]?
  }

  static func expected() throws -> [String: Expected] {
    try JSONDecoder().decode(
      [String: Expected].self, from: Data(contentsOf: hdf5.appending(path: "expected.json")))
  }

  /// The text that an attribute must be told as.
  struct Attribute: Decodable {
    var text: String

    init(from decoder: any Decoder) throws {
      let value = try decoder.singleValueContainer()
      if let bool = try? value.decode(Bool.self) {
        text = bool ? "true" : "false"
      } else if let integer = try? value.decode(Int.self) {
        text = "\(integer)"
      } else if let number = try? value.decode(Double.self) {
        text = "\(number)"
      } else if let numbers = try? value.decode([Double].self) {
        text = "[\(numbers.map(\.description).joined(separator: ","))]"
      } else if let texts = try? value.decode([String].self) {
        text = try CanonicalJSON.encode(texts)
      } else {
        text = try value.decode(String.self)
      }
    }
  }
}

/// Where files are parsed: in this process, or by the tool as a helper.
enum Place: String, CaseIterable {
  case here, apart

  var format: HDF5Format {
    switch self {
    case .here: HDF5Format()
    case .apart: HDF5Format(isolated: true, helper: Self.program("strata"))
    }
  }

  /// An executable, which SwiftPM builds beside the test bundle.
  static func program(_ name: String) -> URL {
    #if os(macOS)
      let bundle = Bundle.allBundles.first { $0.bundlePath.hasSuffix(".xctest") } ?? .main
      return bundle.bundleURL.deletingLastPathComponent().appending(path: name)
    #else
      return URL(filePath: CommandLine.arguments[0]).resolvingSymlinksInPath()
        .deletingLastPathComponent().appending(path: name)
    #endif
  }
}

/// A directory that goes away with the value.
final class TemporaryDirectory: Sendable {
  let url: URL

  init() throws {
    url = FileManager.default.temporaryDirectory.appending(path: "strata-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(at: url) }

  func path(_ name: String) -> String { url.appending(path: name).path() }
}

/// SplitMix64 (Steele, Lea, Flood 2014): the same numbers for the same seed.
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  /// A tensor of random bits, bools of random truth.
  mutating func tensor(_ dtype: DType, _ shape: [Int]) throws -> Tensor {
    let shape = try Shape(shape)
    var bytes: [UInt8] = []
    for _ in 0..<shape.byteCount(of: dtype) {
      bytes.append(UInt8(truncatingIfNeeded: next()) & (dtype == .bool ? 1 : 0xFF))
    }
    return try Tensor(dtype: dtype, shape: shape, bytes: Bytes(bytes))
  }
}

/// Fails unless `body` throws a `CheckpointError` of a code; gives the error.
@discardableResult
func expectFault(
  _ code: CheckpointError.Code, sourceLocation: SourceLocation = #_sourceLocation,
  _ body: () throws -> Void
) -> CheckpointError? {
  let error = #expect(throws: CheckpointError.self, sourceLocation: sourceLocation) { try body() }
  #expect(
    error?.code.rawValue == code.rawValue, "\(error.map(\.description) ?? "")",
    sourceLocation: sourceLocation)
  return error
}

extension Bytes {
  /// The bytes as hexadecimal digits.
  var hex: String { array.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined() }
}
