extension PyTorchFormat {
  /// The most bytes of a pickle inside an archive: a million tensors take a tenth of it.
  static let largestPickle = 1 << 30

  /// How often its stored bytes a deflated entry may give.
  ///
  /// torch deflates nothing but its own source
  /// code; archives that were packed again reach single figures.
  static let largestExpansion = 100

  /// Opens a zip archive of whatever kind.
  func openZip(_ source: ByteSource) throws(CheckpointError) -> CheckpointContents {
    let archive = try ZipArchive(source, largestExpansion: Self.largestExpansion)
    var contents: CheckpointContents
    switch try TorchArchive(archive) {
    case .pickle(let pickle): contents = try pickle.open(source)
    case .exported(let exported): contents = try exported.open(source)
    case .exportedPickles(let exported): contents = try exported.open(source)
    }
    if archive.uncheckedCount > 0 {
      contents.ignored.append("\(archive.uncheckedCount) entries carry no checksum")
    }
    return contents
  }
}

/// What kind of archive a zip file is.
enum TorchArchive {
  /// `torch.save` or TorchScript: a pickle and its storages.
  case pickle(PickleArchive)
  /// `torch.export` since 2.8: names and shapes in JSON.
  case exported(ExportedArchive)
  /// `torch.export` up to 2.7: files of `torch.save` inside.
  case exportedPickles(ExportedPickles)

  /// Tells by the entries' names.
  /// - Throws: `duplicateEntry` for two pickles; `unsupportedVariant` for any other archive.
  init(_ archive: ZipArchive) throws(CheckpointError) {
    let names = archive.entries.map(\.name)
    // torch puts everything into one directory, whose name is anything.
    let first = names.first ?? ""
    let root = first.firstIndex(of: "/").map { String(first[...$0]) } ?? ""
    let pickles = names.filter { name in
      let parts = name.split(separator: "/", omittingEmptySubsequences: false)
      return parts.last == "data.pkl" && parts.count <= 2
    }
    if let name = pickles.first {
      guard pickles.count == 1 else {
        throw CheckpointError(
          .duplicateEntry, "the archive has two pickles, \(pickles.joined(separator: " and "))")
      }
      self = .pickle(PickleArchive(archive: archive, root: String(name.dropLast("data.pkl".count))))
    } else if let exported = ExportedArchive(archive, root: root) {
      self = .exported(exported)
    } else if let exported = ExportedPickles(archive) {
      self = .exportedPickles(exported)
    } else {
      throw CheckpointError(.unsupportedVariant, Self.description(of: Set(names), names, root))
    }
  }

  /// What an archive without weights of PyTorch seems to be, and the way out.
  private static func description(
    of names: Set<String>, _ list: [String], _ root: String
  ) -> String {
    if names.contains("model.weights.h5") || names.contains("model.weights.npz") {
      return """
        the archive is a Keras file; in Python: \
        keras.models.load_model("m.keras").save_weights("m.weights.h5")
        """
    }
    if list.contains(where: { $0.contains("data/aotinductor/") }) {
      return """
        the archive is an AOTInductor package, compiled code without weights by name; \
        in Python: torch.export.save(exported_program, "model.pt2")
        """
    }
    if names.contains(root + "model.json") {
      return """
        the archive is TorchScript of PyTorch before 1.4; \
        in Python with a newer one: torch.jit.load("in.pt").save("out.pt")
        """
    }
    if list.contains(where: { $0.hasSuffix(".npy") }) {
      return "the archive holds NumPy arrays beside other things; np.savez writes one that is read"
    }
    let shown = list.prefix(3).joined(separator: ", ")
    return """
      the archive is no checkpoint of PyTorch: it has neither data.pkl nor weights of torch.export, \
      but \(list.isEmpty ? "nothing" : shown)\(list.count > 3 ? ", …" : "")
      """
  }
}

/// An archive of `torch.save` or `torch.jit.save`.
struct PickleArchive {
  let archive: ZipArchive
  /// The directory in which everything stands, `archive/` or empty.
  let root: String

  func open(_ source: ByteSource) throws(CheckpointError) -> CheckpointContents {
    let isBigEndian = try archive.isBigEndian(root: root)
    let (object, heap) = try unpickle()
    let code = TorchScriptCode(archive, root: root)
    let tree = try TorchTree(object, in: heap) { code.options(of: $0) }
    guard !tree.tensors.isEmpty || constantCount == 0 else {
      throw CheckpointError(
        .unsupportedVariant,
        """
        frozen TorchScript: its modules have no parameters, the code holds \(constantCount) tensors \
        without names as constants; in Python, torch.jit.save the module as it is before \
        torch.jit.freeze or torch.jit.optimize_for_inference
        """)
    }
    var reader = TorchTensorReader(source) { key throws(CheckpointError) in
      guard let entry = archive["\(root)data/\(key)"] else {
        throw CheckpointError(.sizeMismatch, "the archive has no entry \(root)data/\(key)")
      }
      return TorchTensorReader.StorageBytes(
        contents: archive.bytes(of: entry), byteCount: entry.count, isBigEndian: isBigEndian)
    }
    var contents = try PyTorchFormat.contents(tree, &reader)
    if constantCount > 0 {
      contents.ignored.append(
        "\(constantCount) \(constantCount == 1 ? "tensor" : "tensors") among the constants of the code"
      )
    }
    return contents
  }

  /// The tensors that the code of TorchScript holds as constants, which have numbers for names.
  private var constantCount: Int {
    archive.entries.count { $0.name.hasPrefix("\(root)constants/") }
  }

  private func unpickle() throws(CheckpointError) -> (object: PickleValue, heap: PickleHeap) {
    guard let entry = archive[root + "data.pkl"] else {
      throw CheckpointError(.pickleMalformed, "the archive has no entry \(root)data.pkl")
    }
    let bytes = try archive.contents(of: entry, atMost: PyTorchFormat.largestPickle)
    // Offsets in errors are those in the file, where the pickle stands there as it is.
    let base = entry.method == .stored ? entry.dataOffset : 0
    var machine = PickleMachine(
      PickleInput(ByteSource(bytes), in: 0..<bytes.count, base: base)
    ) { id, heap throws(CheckpointError) in
      let (storage, _) = try heap.storage(named: id)
      return heap.add(.storage(storage))
    }
    return (try machine.run(), machine.heap)
  }
}

extension ZipArchive {
  /// Whether the elements of the storages are big-endian: what torch 2.1 and later say.
  /// - Throws: `byteorderInvalid`.
  func isBigEndian(root: String) throws(CheckpointError) -> Bool {
    guard let entry = self[root + "byteorder"] else { return false }
    let limit = 64
    let text = try entry.count > limit ? "" : contents(of: entry, atMost: limit).text
    switch text {
    case "little": return false
    case "big": return true
    default:
      throw CheckpointError(
        .byteorderInvalid, offset: entry.dataOffset,
        "the byte order is '\(text)', expected 'little' or 'big'")
    }
  }
}

extension Bytes {
  /// The bytes as text.
  fileprivate var text: String { String(decoding: array, as: UTF8.self) }
}
