/// An archive of `torch.export.save` since PyTorch 2.8: for each model a JSON file names its weights, and
/// tells shape, strides and the entry in which the elements stand.
struct ExportedArchive {
  private let archive: ZipArchive
  private let root: String
  /// The models inside, nearly always one, called `model`.
  private let models: [String]

  private static let weights = (directory: "data/weights/", suffix: "_weights_config.json")
  private static let constants = (directory: "data/constants/", suffix: "_constants_config.json")
  /// The most bytes of a JSON file: some hundred for each tensor.
  private static let largestJSON = 1 << 28

  /// Looks for weights in an archive whose directory is `root`; nil when there are none.
  init?(_ archive: ZipArchive, root: String) {
    let start = root + Self.weights.directory
    models = archive.entries.compactMap { entry in
      guard entry.name.hasPrefix(start), entry.name.hasSuffix(Self.weights.suffix) else {
        return nil
      }
      return String(entry.name.dropFirst(start.count).dropLast(Self.weights.suffix.count))
    }
    guard !models.isEmpty else { return nil }
    self.archive = archive
    self.root = root
  }

  /// Reads the JSON files; the tensors of a single model bear the names that it gives them.
  func open(_ source: ByteSource) throws(CheckpointError) -> CheckpointContents {
    let isBigEndian = try archive.isBigEndian(root: root)
    var contents = CheckpointContents()
    var reader = TorchTensorReader(source) { name throws(CheckpointError) in
      guard let entry = archive[name] else {
        throw CheckpointError(.sizeMismatch, "the archive has no entry \(name)")
      }
      return TorchTensorReader.StorageBytes(
        contents: archive.bytes(of: entry), byteCount: entry.count, isBigEndian: isBigEndian)
    }
    for model in models {
      let first = contents.tensors.count
      let directory = Self.weights.directory
      for (name, value) in try members(directory + model + Self.weights.suffix) {
        guard let tensor = try tensor(value, named: name, in: directory) else {
          contents.ignored.append("\(name): an object that is no tensor")
          continue
        }
        let name = models.count == 1 ? name : "\(model).\(name)"
        contents.tensors.append(try reader.tensor(tensor, named: name))
      }
      let constants = try members(Self.constants.directory + model + Self.constants.suffix)
      contents.ignored += ExportedArchive.told(constants.map(\.key))
      if models.count > 1 {
        let tensors = contents.tensors[first...]
        contents.stateDicts.append(
          NestedStateDict(
            path: model, tensorCount: tensors.count,
            byteCount: tensors.reduce(0) { $0 + $1.storedByteCount },
            holdsRecurrentWeights: tensors.contains {
              NestedStateDict.isRecurrentWeight($0.name)
            }))
      }
    }
    return contents
  }

  /// What is said of constants, and of buffers that are not persistent: as for `state_dict()`, they are
  /// no part of it.
  fileprivate static func told(_ constants: [String]) -> [String] {
    guard !constants.isEmpty else { return [] }
    let shown = constants.prefix(8).joined(separator: ", ") + (constants.count > 8 ? ", …" : "")
    return ["\(constants.count) constants beside the state dict: \(shown)"]
  }

  /// The entries of a JSON file; none when there is no file.
  private func members(
    _ name: String
  ) throws(CheckpointError) -> [(key: String, value: StrictJSON)] {
    guard let entry = archive[root + name] else { return [] }
    let bytes = try archive.contents(of: entry, atMost: Self.largestJSON)
    let json = try StrictJSON(bytes, at: entry.method == .stored ? entry.dataOffset : 0)
    guard let config = json["config"] else {
      throw CheckpointError(.headerInvalid, offset: json.offset, "\(name) has no object 'config'")
    }
    return try config.members("config")
  }

  /// The tensor that an entry describes; nil for an object of another kind.
  private func tensor(
    _ value: StrictJSON, named name: String, in directory: String
  ) throws(CheckpointError) -> TorchTensor? {
    guard let path = try value["path_name"]?.string("path_name") else {
      throw CheckpointError(
        .headerInvalid, tensor: name, offset: value.offset, "the tensor has no path_name")
    }
    guard let meta = value["tensor_meta"], meta.kind == .object else { return nil }
    guard let dtype = meta["dtype"], let sizes = meta["sizes"], let strides = meta["strides"] else {
      throw CheckpointError(
        .headerInvalid, tensor: name, offset: meta.offset,
        "tensor_meta needs dtype, sizes and strides")
    }
    let type = TorchDType.exported(try dtype.count("dtype"))
    func refused(_ reason: String) -> TorchTensor {
      TorchTensor(type: type, size: [], elements: .unreadable(reason))
    }
    if try value["use_pickle"]?.bool("use_pickle") ?? false {
      return refused(
        """
        a tensor of a class of its own, pickled: in Python, \
        torch.save(torch.export.load("in.pt2").state_dict, "out.pt") keeps what it is made of
        """)
    }
    if let layout = meta["layout"], try layout.count("layout") != Self.stridedLayout {
      return refused("a sparse tensor: in Python, export the model with t.to_dense() in its place")
    }
    guard let size = try integers(sizes, "sizes"), let strides = try integers(strides, "strides"),
      let offset = try meta["storage_offset"].map({ value throws(CheckpointError) in
        try integer(value, "storage_offset")
      }) ?? 0
    else {
      return refused("a tensor whose shape is a formula: export the model with fixed weights")
    }
    return try tensor(type, size, strides, offset, in: directory + path, named: name)
  }

  private func tensor(
    _ type: TorchDType, _ size: [Int], _ strides: [Int], _ offset: Int, in path: String,
    named name: String
  ) throws(CheckpointError) -> TorchTensor {
    guard !path.split(separator: "/").contains(".."), !path.contains("//") else {
      throw CheckpointError(
        .unsafePath, tensor: name, "the entry \(path) leads out of the archive")
    }
    let bytes = archive[root + path]?.count ?? 0
    // Each entry holds a tensor whole, of which others may be parts.
    var needed = type.size
    for (size, stride) in zip(size, strides) where stride > 0 {
      let (product, overflow) = needed.multipliedReportingOverflow(by: size)
      needed = overflow ? Int.max : product
    }
    guard needed <= bytes || type.dtype == nil else {
      throw CheckpointError(
        .sizeMismatch, tensor: name,
        "the entry \(path) has \(bytes) bytes, the shape needs \(needed)")
    }
    let storage = TorchStorage(
      key: root + path, type: type, count: type.size > 0 ? bytes / type.size : 0)
    return TorchTensor(
      type: type, size: size, elements: .strided(storage, offset: offset, strides: strides))
  }

  /// The number of torch's layout whose elements stand at strides.
  private static let stridedLayout = 7

  private func integers(_ value: StrictJSON, _ what: String) throws(CheckpointError) -> [Int]? {
    var integers: [Int] = []
    for element in try value.elements(what) {
      guard let integer = try integer(element, what) else { return nil }
      integers.append(integer)
    }
    return integers
  }

  /// The number in an object `{"as_int": 3}`; nil for a formula.
  private func integer(_ value: StrictJSON, _ what: String) throws(CheckpointError) -> Int? {
    guard value.kind == .object else {
      throw CheckpointError(
        .headerInvalid, offset: value.offset, "\(what) is \(value.kind), not an object")
    }
    return try value["as_int"].map { number throws(CheckpointError) in try number.count(what) }
  }
}

/// An archive of `torch.export.save` up to PyTorch 2.7: files of `torch.save` in a zip archive.
struct ExportedPickles {
  private let stateDicts: [ZipArchive.Entry]
  private let constants: [ZipArchive.Entry]

  /// Looks for the files; nil when there are none.
  init?(_ archive: ZipArchive) {
    let legacy = archive.entries.filter { entry in
      let parts = entry.name.split(separator: "/").map(String.init)
      return parts.count >= 3 && parts.suffix(2).first == "weights" && entry.name.hasSuffix(".pt")
    }
    stateDicts =
      ["serialized_state_dict.pt", "serialized_state_dict.json"].compactMap { archive[$0] } + legacy
    constants =
      ["serialized_constants.pt", "serialized_constants.json"].compactMap { archive[$0] }
    guard !stateDicts.isEmpty else { return nil }
  }

  /// Reads the state dict.
  func open(_ source: ByteSource) throws(CheckpointError) -> CheckpointContents {
    guard let entry = stateDicts.first, stateDicts.count == 1 else {
      throw CheckpointError(
        .unsupportedVariant,
        """
        the archive holds \(stateDicts.count) state dicts: unpack the one that is meant, each is a file \
        of torch.save
        """)
    }
    var contents = try open(entry, in: source)
    for constants in constants where constants.count > 0 {
      contents.ignored += ExportedArchive.told(try open(constants, in: source).tensors.map(\.name))
    }
    return contents
  }

  /// Opens a file of `torch.save` where it stands inside the archive.
  private func open(
    _ entry: ZipArchive.Entry, in source: ByteSource
  ) throws(CheckpointError) -> CheckpointContents {
    guard entry.method == .stored else {
      throw CheckpointError(
        .unsupportedVariant, offset: entry.headerOffset,
        "the entry \(entry.name) is deflated: unpack it, it is a file of torch.save")
    }
    let part = source.part(entry.dataOffset..<(entry.dataOffset + entry.count))
    return try PyTorchFormat().open(part, options: ReadOptions())
  }
}
