internal import Foundation

/// A file of fixtures/malformed and what its manifest says of it.
public struct MalformedFile: Sendable, CustomStringConvertible {
  /// What a file does wrong.
  public enum Fault: String, Decodable, Sendable {
    /// No command opens it.
    case file
    /// It opens, and reading one of its tensors throws.
    case tensor
    /// Its tensors are read, and what it says of their model is wrong.
    case model
    /// It is read, and refused where only finite numbers are allowed.
    case nonfinite
  }

  /// A tensor of a file that is to be read.
  public struct Expected: Decodable, Sendable {
    /// The dtype, `F32`.
    public var dtype: String
    /// The shape.
    public var shape: [Int]
    private var hex: String

    /// The data, little-endian and row-major.
    public var bytes: [UInt8] { [UInt8](hexadecimal: hex) }
  }

  private struct Entry: Decodable {
    var row: String
    var code: String
    var fault: Fault?
    var tensor: String?
    var why: String
    var tensors: [String: Expected]?
  }

  private struct Manifest: Decodable {
    var files: [String: Entry]
  }

  /// Below fixtures/malformed: `npz/objectArray.object.npz`.
  public let name: String
  /// The row of the table of hostile inputs, `Z1`.
  public let row: String
  /// The code of the error, or `accepted`.
  public let code: String
  /// What kind of fault it is; nil for a file that is to be read.
  public let fault: Fault?
  /// The tensor that the error names, where there is one.
  public let tensor: String?
  /// What is wrong.
  public let why: String
  /// What a file that is accepted holds.
  public let tensors: [String: Expected]

  /// The format, which is the directory; that of npz has arrays alone as well.
  public var format: String {
    name.hasSuffix(".npy") ? "npy" : String(name.prefix { $0 != "/" })
  }
  /// The whole path.
  public var path: String { Fixtures.path("malformed/\(name)") }
  /// Whether the file is to be read.
  public var isAccepted: Bool { code == "accepted" }
  /// Name and what is wrong.
  public var description: String { "\(name): \(why)" }

  /// All files of the manifest, in the order of their names.
  public static let all: [MalformedFile] = {
    guard
      let data = FileManager.default.contents(atPath: Fixtures.path("malformed/manifest.json")),
      let manifest = try? JSONDecoder().decode(Manifest.self, from: data)
    else { return [] }
    return manifest.files.sorted { $0.key < $1.key }.map { name, entry in
      MalformedFile(
        name: name, row: entry.row, code: entry.code, fault: entry.fault,
        tensor: entry.tensor, why: entry.why, tensors: entry.tensors ?? [:])
    }
  }()
}

extension [UInt8] {
  /// The bytes that hexadecimal digits spell; `0*1000` is a thousand zeros.
  public init(hexadecimal digits: String) {
    if digits.hasPrefix("0*"), let count = Int(digits.dropFirst(2)) {
      self = [UInt8](repeating: 0, count: count)
      return
    }
    let values = digits.utf8.map { $0 < 58 ? $0 - 48 : $0 - 87 }
    self = stride(from: 0, to: values.count - 1, by: 2).map { values[$0] << 4 | values[$0 + 1] }
  }
}
