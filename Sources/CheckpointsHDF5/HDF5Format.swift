public import Checkpoints

#if canImport(FoundationEssentials)
  public import FoundationEssentials
#else
  public import Foundation
#endif

/// HDF5 files, through libhdf5.
///
/// A tensor is a dataset; its name is the dataset's path with dots for slashes, so that
/// `lstm/weight_ih_l0` and `lstm.weight_ih_l0` are one name. Text attributes are metadata; the
/// attributes `strata_modules` and `strata_model` hold module records and model description, the
/// group `strata_goldens` the goldens, and `strata_order` on each dataset its place.
///
/// Files that lead elsewhere (links that are not hard, external and virtual storage), run code
/// (filters of plugins), or hold what is no tensor, are refused by name. libhdf5 itself is not hard
/// against every malformed file: read files of strangers with `HDF5Format(isolated: true)`.
public struct HDF5Format: CheckpointFormat {
  /// The group that holds the goldens.
  static let goldenGroup = "strata_goldens"
  /// The attribute that holds a dataset's place in the order.
  static let orderAttribute = "strata_order"
  /// The root's attribute that holds the module records, a JSON array.
  static let modulesAttribute = "strata_modules"
  /// The root's attribute that holds the model description, JSON.
  static let modelAttribute = "strata_model"

  /// A head and the shortest root group.
  static let smallestFile = 48

  private static let signature: [UInt8] = [0x89] + Array("HDF\r\n".utf8) + [0x1A, 0x0A]

  /// Whether files are parsed by a process of their own.
  let isIsolated: Bool
  /// The program that parses them then; nil for this one.
  let helperPath: String?

  /// Makes the format.
  ///
  /// With `isolated` each file is parsed by a helper, a process of its own that can read that file and
  /// do nothing else, and whose answers are checked: what libhdf5 does not survive is an error here. The
  /// helper is this program once more, which has to call `HDF5Helper.runIfRequested()` first of all, or
  /// the program `helper`, which does: the tool `strata` is one. Written are files in this process.
  public init(isolated: Bool = false, helper: URL? = nil) {
    isIsolated = isolated
    helperPath = helper?.path
  }

  /// `hdf5`.
  public var name: String { "hdf5" }

  /// `h5` and its usual variants.
  public var fileExtensions: [String] { ["h5", "hdf5", "hdf", "he5"] }

  /// Whether the HDF5 signature stands at the beginning, or behind a user block of 512 bytes or a
  /// power of two of them.
  public func recognizes(_ source: ByteSource) throws(CheckpointError) -> Bool {
    var offset = 0
    while Self.signature.count <= source.count - offset {
      let bytes = try source.bytes(in: offset..<(offset + Self.signature.count))
      if bytes.array == Self.signature { return true }
      let (next, overflow) = offset == 0 ? (512, false) : offset.multipliedReportingOverflow(by: 2)
      if overflow { break }
      offset = next
    }
    return false
  }

  /// Tensors can be deflated, each by itself.
  public var canCompress: Bool { true }

  /// The format holds everything but texts in whose place Keras looks for its lists of names.
  public func dropped(from contents: CheckpointContents) -> [String] {
    contents.metadata.keys.filter(KerasAttributes.isReserved).sorted().map { "metadata \($0)" }
  }
}
