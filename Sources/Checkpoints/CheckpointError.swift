/// What went wrong with a checkpoint: a code for programs, and file, tensor and rule for people.
///
/// The codes are part of the tool's contract; new ones may be added, none is ever renamed.
public struct CheckpointError: Error, Hashable, Sendable {
  /// The kind of fault, as printed by `--json`.
  public struct Code: RawRepresentable, Hashable, Sendable {
    /// The code's spelling, `shapeMismatch` for example.
    public let rawValue: String

    /// Makes a code from its spelling.
    public init(rawValue: String) { self.rawValue = rawValue }
  }

  /// The kind of fault.
  public var code: Code
  /// The path of the file, or nil when the bytes came from memory.
  public var file: String?
  /// The name of the tensor or parameter, or nil when the fault is not one tensor's.
  public var tensor: String?
  /// The byte of the file at which the fault was found.
  public var offset: Int?
  /// The rule that was broken, with what was expected and what was found.
  public var reason: String

  /// Describes a fault.
  public init(
    _ code: Code, file: String? = nil, tensor: String? = nil, offset: Int? = nil, _ reason: String
  ) {
    self.code = code
    self.file = file
    self.tensor = tensor
    self.offset = offset
    self.reason = reason
  }

  /// The same fault with its place filled in where it was not known before.
  public func located(file: String? = nil, tensor: String? = nil, offset: Int? = nil) -> Self {
    var error = self
    error.file = error.file ?? file
    error.tensor = error.tensor ?? tensor
    error.offset = error.offset ?? offset
    return error
  }
}

extension CheckpointError: CustomStringConvertible {
  /// One line, `model.h5: weight_hh_l1: shape [512, 100], expected [512, 128]`.
  public var description: String {
    var line = ""
    if let file { line += "\(file.escapedForDisplay): " }
    if let tensor { line += "\(tensor.escapedForDisplay): " }
    line += reason.escapedForDisplay
    if let offset { line += " (at byte \(offset))" }
    return line
  }
}

extension CheckpointError.Code {
  // Files and paths.

  /// There is no file at the path.
  public static let fileNotFound = Self(rawValue: "fileNotFound")
  /// The path is a directory, a device or a pipe.
  public static let notAFile = Self(rawValue: "notAFile")
  /// The operating system refuses to open or to read the file.
  public static let notReadable = Self(rawValue: "notReadable")
  /// The file was written to while it was read.
  public static let fileChanged = Self(rawValue: "fileChanged")
  /// The operating system refuses to create, write, sync or rename the file, or the format has no such
  /// files.
  public static let notWritable = Self(rawValue: "notWritable")
  /// The target exists and was not to be replaced.
  public static let exists = Self(rawValue: "exists")
  /// Input and output are the same file.
  public static let sameFile = Self(rawValue: "sameFile")
  /// No known format recognises the content.
  public static let unknownFormat = Self(rawValue: "unknownFormat")

  // Containers.

  /// The file ends before what it announces.
  public static let truncated = Self(rawValue: "truncated")
  /// Bytes follow the end of the content.
  public static let trailingData = Self(rawValue: "trailingData")
  /// The file does not begin as its format demands.
  public static let badMagic = Self(rawValue: "badMagic")
  /// The file demands a newer reader.
  public static let unsupportedVersion = Self(rawValue: "unsupportedVersion")
  /// The file's byte order is not the format's.
  public static let wrongEndian = Self(rawValue: "wrongEndian")
  /// A length lies outside the file.
  public static let lengthOutOfRange = Self(rawValue: "lengthOutOfRange")
  /// A count cannot fit into the file.
  public static let countExceedsFile = Self(rawValue: "countExceedsFile")
  /// Stored and computed checksum differ.
  public static let checksumMismatch = Self(rawValue: "checksumMismatch")
  /// A shape has more elements, or more bytes, than 63 bits can count.
  public static let shapeOverflow = Self(rawValue: "shapeOverflow")
  /// A shape has too many dimensions.
  public static let rankLimit = Self(rawValue: "rankLimit")
  /// Shape and dtype do not give the number of bytes that is stored.
  public static let sizeMismatch = Self(rawValue: "sizeMismatch")
  /// Two pieces of data share bytes.
  public static let overlap = Self(rawValue: "overlap")
  /// Bytes belong to nothing, or padding is not zero.
  public static let hole = Self(rawValue: "hole")
  /// Data does not begin at the alignment that the format demands.
  public static let misaligned = Self(rawValue: "misaligned")
  /// Two entries have one name.
  public static let duplicateName = Self(rawValue: "duplicateName")
  /// A name is empty, too long, no UTF-8, or holds a NUL.
  public static let badName = Self(rawValue: "badName")
  /// Compressed data announces more than it can hold.
  public static let expansionLimit = Self(rawValue: "expansionLimit")
  /// Compressed data does not give what was announced.
  public static let decompressMismatch = Self(rawValue: "decompressMismatch")
  /// Metadata are malformed.
  public static let metadataInvalid = Self(rawValue: "metadataInvalid")
  /// A number that must be a plain non-negative integer is none.
  public static let badInteger = Self(rawValue: "badInteger")
  /// The dtype is unknown here, or the target cannot hold it.
  public static let dtypeUnsupported = Self(rawValue: "dtypeUnsupported")
  /// The encoding or layout of a tensor is unknown to this version.
  public static let encodingUnsupported = Self(rawValue: "encodingUnsupported")
  /// A value is NaN or infinite where none was allowed.
  public static let nonFinite = Self(rawValue: "nonFinite")
  /// A value cannot be converted without becoming another one.
  public static let notRepresentable = Self(rawValue: "notRepresentable")

  // Text headers: safetensors, npy, JSON.

  /// The length of a header lies outside the file or above the limit.
  public static let headerLength = Self(rawValue: "headerLength")
  /// A header is not written as its format demands.
  public static let headerInvalid = Self(rawValue: "headerInvalid")
  /// Something is nested deeper, or is more, than is allowed.
  public static let nestingLimit = Self(rawValue: "nestingLimit")
  /// Begin and end of a tensor contradict each other or the file.
  public static let offsetInvalid = Self(rawValue: "offsetInvalid")
  /// Tensors overlap, or leave bytes that belong to none.
  public static let coverage = Self(rawValue: "coverage")
  /// More tensors than any model has.
  public static let tensorLimit = Self(rawValue: "tensorLimit")
  /// An array of Python objects.
  public static let objectArray = Self(rawValue: "objectArray")
  /// A name that would lead out of its directory.
  public static let unsafePath = Self(rawValue: "unsafePath")

  // Zip archives and pickles.

  /// Two entries of an archive have one name.
  public static let duplicateEntry = Self(rawValue: "duplicateEntry")
  /// An archive can be read in two ways.
  public static let zipAmbiguous = Self(rawValue: "zipAmbiguous")
  /// An archive needs a method or a feature that is not read.
  public static let zipUnsupported = Self(rawValue: "zipUnsupported")
  /// A pickle names an object of a dangerous module.
  public static let forbiddenGlobal = Self(rawValue: "forbiddenGlobal")
  /// A pickle asks for what no checkpoint needs.
  public static let forbiddenOpcode = Self(rawValue: "forbiddenOpcode")
  /// A pickle does to an object what its type does not allow.
  public static let pickleTypeError = Self(rawValue: "pickleTypeError")
  /// A pickle is no program that runs to its end.
  public static let pickleMalformed = Self(rawValue: "pickleMalformed")
  /// Offset, shape and strides of a tensor leave its storage.
  public static let strideOutOfRange = Self(rawValue: "strideOutOfRange")
  /// The byte order that a file names is none.
  public static let byteorderInvalid = Self(rawValue: "byteorderInvalid")
  /// A variant that is not read; the reason names it and the way out.
  public static let unsupportedVariant = Self(rawValue: "unsupportedVariant")

  // Networks.

  /// A parameter's shape is not the one that its module needs.
  public static let shapeMismatch = Self(rawValue: "shapeMismatch")
  /// A module lacks a parameter.
  public static let parameterMissing = Self(rawValue: "parameterMissing")
  /// A tensor stands where a module has no such parameter.
  public static let parameterUnexpected = Self(rawValue: "parameterUnexpected")
  /// The tensors can be read as more than one model.
  public static let ambiguousModel = Self(rawValue: "ambiguousModel")
  /// The model description contradicts itself or the tensors.
  public static let modelInvalid = Self(rawValue: "modelInvalid")
  /// The model needs the whole sequence in one call.
  public static let notStreamable = Self(rawValue: "notStreamable")
  /// A token is not in the vocabulary.
  public static let tokenOutOfRange = Self(rawValue: "tokenOutOfRange")
  /// A saved state is damaged, or is that of another model.
  public static let stateMismatch = Self(rawValue: "stateMismatch")
  /// A model's results are not its goldens'.
  public static let notVerified = Self(rawValue: "notVerified")
  /// A golden does not fit the model.
  public static let goldenMismatch = Self(rawValue: "goldenMismatch")
}

extension String {
  /// The string with control, format and bidirectional characters spelled `\u{1B}`, so that a name
  /// from a file cannot steer a terminal.
  package var escapedForDisplay: String {
    escapingSteering { "\\u{\(String($0.value, radix: 16, uppercase: true))}" }
  }

  /// The same for a JSON text without line breaks, as `\u001b`: it stays the same JSON.
  package var escapedForJSON: String {
    escapingSteering { scalar in
      UTF16.encode(scalar).map { units in
        units.map { unit in
          let digits = String(unit, radix: 16)
          return "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
        }.joined()
      } ?? ""
    }
  }

  private func escapingSteering(_ spelling: (Unicode.Scalar) -> String) -> String {
    // Most texts are long and plain.
    if utf8.allSatisfy({ (0x20..<0x7F).contains($0) }) { return self }
    var escaped = ""
    for scalar in unicodeScalars {
      switch scalar.properties.generalCategory {
      case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse,
        .unassigned:
        escaped += spelling(scalar)
      default:
        escaped.unicodeScalars.append(scalar)
      }
    }
    return escaped
  }
}
