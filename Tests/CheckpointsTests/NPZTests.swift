import TestSupport
import Testing

@testable import Checkpoints

@Suite("npz")
struct NPZTests {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  private static func member(
    _ name: String, _ descr: String = "'<f4'", _ data: [UInt8] = NPYTests.data
  ) -> ZipImage.Entry {
    .init(name, NPYTests.image(NPYTests.header(descr), data))
  }

  private static func open(_ entries: ZipImage.Entry...) throws(CheckpointError)
    -> CheckpointContents
  {
    try NPZFormat().open(ByteSource(Bytes(ZipImage(entries: entries).bytes())))
  }

  @Test("Members are tensors in the directory's order; what is no array is told")
  func reading() throws {
    let contents = try Self.open(
      Self.member("b.npy"), Self.member("a.b.npy"), .init("readme", [1, 2]),
      Self.member("folder/c.npy"), Self.member("no extension"), .init("empty", []))
    #expect(contents.tensors.map(\.name) == ["b", "a.b", "folder/c", "no extension"])
    #expect(
      contents.ignored == ["readme, which is no array", "empty, which is no array"])
    for tensor in contents.tensors { #expect(try tensor.read().bytes.array == NPYTests.data) }
    #expect(try Self.open().tensors.isEmpty)
  }

  @Test("One odd array does not make the others unreadable")
  func odd() throws {
    let contents = try Self.open(
      Self.member("a.npy", "'|O'", [1, 2, 3]), Self.member("b.npy", "'<c8'"), Self.member("c.npy"))
    let codes = contents.tensors.map { tensor in
      code { () throws(CheckpointError) in try tensor.read() }
    }
    #expect(codes == [.objectArray, .dtypeUnsupported, nil])
  }

  @Test("A deflated array is read backwards, but not inflated over and over", arguments: [24, 72])
  func backwards(mebibytes: Int) throws {
    let count = mebibytes << 20
    let bytes = unsafe Bytes(count: count) { buffer in
      for place in stride(from: 0, to: count, by: 4096) {
        unsafe buffer[place] = UInt8(place >> 20)
      }
    }
    let checkpoint = Checkpoint(
      stateDict: ["x": try Tensor(dtype: .uint8, shape: Shape([count]), bytes: bytes)])
    let path = directory.path("x.npz")
    try checkpoint.write(
      to: path, format: NPZFormat(), options: WriteOptions(compression: .deflate))
    let tensor = try NPZFormat().open(ByteSource(contentsOf: path)).tensors[0]
    var found: [UInt8] = []
    let refusal = code { () throws(CheckpointError) in
      for place in stride(from: count - (1 << 20), through: 0, by: -(1 << 20)) {
        found.append(try tensor.bytes(in: place..<(place + 1)).array[0])
      }
    }
    #expect(found == (0..<mebibytes).reversed().prefix(found.count).map { UInt8($0) })
    // What is kept is inflated once; eight times is the most for what is too large to be kept.
    #expect(refusal == (mebibytes > 64 ? .expansionLimit : nil))
    #expect(mebibytes > 64 ? (8..<20).contains(found.count) : found.count == mebibytes)
    // Whoever asks for everything gets it as often as he likes.
    let fresh = try NPZFormat().open(ByteSource(contentsOf: path)).tensors[0]
    for _ in 0..<(mebibytes > 64 ? 10 : 1) {
      #expect(try fresh.bytes(in: 0..<count).count == count)
    }
  }

  @Test("Checksums: checked on the way, and their lack told")
  func checksums() throws {
    var wrong = Self.member("a.npy")
    wrong.change { $0.checksum ^= 1 }
    let tensor = try Self.open(wrong).tensors[0]
    #expect(code { () throws(CheckpointError) in try tensor.read() } == .checksumMismatch)
    #expect(code { () throws(CheckpointError) in try tensor.verify() } == .checksumMismatch)
    var missing = Self.member("a.npy")
    missing.change { $0.checksum = 0 }
    let contents = try Self.open(missing)
    #expect(contents.ignored == ["1 entries carry no checksum"])
    #expect(try contents.tensors[0].read().bytes.array == NPYTests.data)
  }

  @Test(
    "Names that are one, or none",
    arguments: [
      (["a.npy", "a.npy"], CheckpointError.Code.duplicateName), (["a", "a.npy"], .duplicateName),
      (["a.npy", "a.npy.npy"], .duplicateName), ([".npy"], .badName),
      ([String(repeating: "n", count: 1025) + ".npy"], .badName), (["../a.npy"], .unsafePath),
      (["/a.npy"], .unsafePath),
    ])
  func names(names: [String], expected: CheckpointError.Code) {
    let bytes = ZipImage(entries: names.map { Self.member($0) }).bytes()
    #expect(
      code { () throws(CheckpointError) in try NPZFormat().open(ByteSource(Bytes(bytes))) }
        == expected)
  }

  @Test("What is wrong with a member names it")
  func members() {
    for (data, expected) in [
      (Array("no npy file".utf8), CheckpointError.Code.badMagic),
      (NPYTests.image(NPYTests.header(), [1]), .sizeMismatch), ([0x93], .truncated),
    ] {
      do {
        _ = try Self.open(Self.member("b.npy"), .init("a.npy", data))
        Issue.record("\(expected) was read")
      } catch {
        #expect(error.code == expected && error.tensor == "a")
      }
    }
  }

  @Test("Z6: an archive that announces another size is the deeper fault")
  func wrongSize() throws {
    let file = NPYTests.image(NPYTests.header(), NPYTests.data)
    let stream = Array(try Deflate.compressed(Bytes(file)).array.dropFirst(2).dropLast(4))
    for content in [file + [0], Array(file.dropLast())] {
      #expect(
        code { () throws(CheckpointError) in
          try Self.open(.init("a.npy", deflated: stream, of: content))
        } == .decompressMismatch)
    }
    let contents = try Self.open(.init("a.npy", deflated: stream, of: file))
    #expect(try contents.tensors[0].read().bytes.array == NPYTests.data)
    #expect(contents.tensors[0].encoding == "deflate")
  }

  @Test("Recognised by the first entry alone")
  func recognition() throws {
    func recognizes(_ bytes: [UInt8]) throws -> Bool {
      try NPZFormat().recognizes(ByteSource(Bytes(bytes)))
    }
    #expect(try recognizes(ZipImage(entries: [Self.member("a.npy"), .init("b", [])]).bytes()))
    #expect(try !recognizes(ZipImage(entries: [.init("b", []), Self.member("a.npy")]).bytes()))
    #expect(try !recognizes(ZipImage().bytes()) && !recognizes([]))
    let path = try directory.write(ZipImage().bytes(), to: "x.npz")
    #expect(try CheckpointReader(contentsOf: path).format == "npz")
  }

  @Test("Names as long as any, also of the first array", arguments: [478, 479, 508, 1000, 1024])
  func longNames(count: Int) throws {
    let name = String(repeating: "x", count: count)
    let checkpoint = Checkpoint(stateDict: [name: Tensor([Float(1)], shape: [1])])
    try checkpoint.write(to: directory.path("x.npz"), format: NPZFormat())
    let reader = try CheckpointReader(contentsOf: directory.path("x.npz"))
    #expect(reader.format == "npz")
    #expect(try StateDict(reading: reader.tensors) == checkpoint.stateDict)
  }

  @Test("A colon leads nowhere", arguments: ["a:b", "C:", "C:x", "1:/x"])
  func colons(name: String) throws {
    let checkpoint = Checkpoint(stateDict: [name: Tensor([Float(1)], shape: [1])])
    try checkpoint.write(to: directory.path("x.npz"), format: NPZFormat())
    #expect(try Checkpoint(contentsOf: directory.path("x.npz")) == checkpoint)
  }

  /// A random checkpoint whose names can be those of files.
  private static func randomNamed(seed: UInt64) throws -> Checkpoint {
    let random = try randomCheckpoint(seed: seed)
    var checkpoint = Checkpoint(stateDict: StateDict())
    for (name, tensor) in random.stateDict where !name.isUnsafePath {
      try checkpoint.stateDict.append(tensor, named: name)
    }
    return checkpoint
  }

  @Test(
    "There and back, every dtype", arguments: [WriteOptions.Compression.none, .deflate],
    5...6 as ClosedRange<UInt64>)
  func roundTrip(compression: WriteOptions.Compression, seed: UInt64) throws {
    let checkpoint = try Self.randomNamed(seed: seed)
    let options = WriteOptions(compression: compression, npzVoid2: .bf16)
    for name in ["x.npz", "y.npz"] {
      try checkpoint.write(to: directory.path(name), format: NPZFormat(), options: options)
    }
    let read = try Checkpoint(
      contentsOf: directory.path("x.npz"), options: ReadOptions(npzVoid2: .bf16))
    #expect(read == checkpoint, "seed \(seed)")
    #expect(try directory.read("x.npz") == directory.read("y.npz"))
    let archive = try ZipArchive(ByteSource(contentsOf: directory.path("x.npz")))
    #expect(archive.entries.allSatisfy { $0.dataOffset % 64 == 0 })
    #expect(
      archive.entries.allSatisfy { $0.method == (compression == .none ? .stored : .deflated) })
  }

  @Test("What numpy cannot hold")
  func unwritable() throws {
    func failure(_ tensors: [(String, Tensor)]) -> CheckpointError? {
      do {
        try CheckpointContents(tensors: tensors.map { StoredTensor($0.1, named: $0.0) })
          .write(to: directory.path("x.npz"), format: NPZFormat())
        return nil
      } catch {
        return error
      }
    }
    let tensor = Tensor([Float(1)], shape: [])
    let half = try Tensor(dtype: .bfloat16, shape: [1], bytes: Bytes([1, 2]))
    let error = failure([("a", half)])
    #expect(error?.code == .dtypeUnsupported && error?.tensor == "a")
    #expect(error?.reason.contains("--dtype F32") == true)
    #expect(error?.reason.contains("--set npz_void2=bf16") == true)
    for (names, expected) in [
      (["../x"], CheckpointError.Code.unsafePath), (["/"], .unsafePath), ([""], .badName),
      (["C:/x"], .unsafePath), ([#"c:\x"#], .unsafePath),
      (["a", "a"], .duplicateName), (["a.npy", "a"], .duplicateName),
      ([String(repeating: "n", count: 1025)], .badName),
    ] {
      let error = failure(names.map { ($0, tensor) })
      #expect(error?.code == expected && names.contains(error?.tensor ?? "none"))
    }
    #expect(try directory.names() == [])
  }

  @Test("What is dropped is told")
  func dropped() throws {
    let contents = try randomCheckpoint(seed: 1).contents
    let dropped = NPZFormat().dropped(from: contents)
    #expect(dropped.count == contents.metadata.count + 3)
    #expect(dropped.first == "\(contents.goldens.count) goldens")
    #expect(dropped.contains("metadata seed"))
    #expect(NPYFormat().dropped(from: contents) == dropped)
  }
}
