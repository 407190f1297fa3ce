#if canImport(FoundationEssentials)
  internal import FoundationEssentials
#else
  internal import Foundation
#endif

/// JSON that is the same for the same value: sorted keys, no white space, no escaped slashes.
package enum CanonicalJSON {
  /// The JSON text of a value.
  package static func encode(_ value: some Encodable) throws(CheckpointError) -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    do {
      return String(decoding: try encoder.encode(value), as: UTF8.self)
    } catch {
      throw CheckpointError(.metadataInvalid, "cannot be written as JSON: \(error)")
    }
  }

  /// A text as a JSON string: only quotes, backslashes and control characters are escaped.
  package static func quoted(_ text: String) -> String {
    var quoted = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": quoted += "\\\""
      case "\\": quoted += "\\\\"
      case "\u{0}"..."\u{1F}":
        let digits = String(scalar.value, radix: 16)
        quoted += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: quoted.unicodeScalars.append(scalar)
      }
    }
    return quoted + "\""
  }

  /// The value of a JSON text called `what` in errors.
  /// - Throws: `metadataInvalid`.
  package static func decode<Value: Decodable>(
    _ type: Value.Type, from text: String, _ what: String
  ) throws(CheckpointError) -> Value {
    do {
      return try JSONDecoder().decode(type, from: Data(text.utf8))
    } catch let error as DecodingError {
      throw CheckpointError(.metadataInvalid, "\(what): \(error.reason)")
    } catch {
      throw CheckpointError(.metadataInvalid, "\(what): \(error)")
    }
  }
}

extension DecodingError {
  /// One line about what is wrong and where.
  fileprivate var reason: String {
    let context: Context
    switch self {
    case .typeMismatch(_, let found), .valueNotFound(_, let found), .keyNotFound(_, let found),
      .dataCorrupted(let found):
      context = found
    @unknown default:
      return "malformed"
    }
    let path = context.codingPath.map { $0.intValue.map { "[\($0)]" } ?? ".\($0.stringValue)" }
    return path.isEmpty ? context.debugDescription : "\(path.joined()): \(context.debugDescription)"
  }
}
