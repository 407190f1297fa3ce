import Checkpoints
import Foundation
import TestSupport
import Testing

@testable import CheckpointsHDF5

#if canImport(Glibc)
  import Glibc
#endif

/// Files that are parsed apart: whatever happens there is an error here, and nothing is left of it.
@Suite struct IsolationTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  /// A source that tells the hostile helper what to do.
  private func source(_ order: [UInt8]) -> ByteSource {
    ByteSource(Bytes([0x89] + Array("HDF\r\n\u{1A}\n".utf8) + order))
  }

  /// Fails unless the hostile helper's doings are an error of a code; gives the error.
  @discardableResult
  private func expectFault(
    _ code: CheckpointError.Code, of order: String, then bytes: [UInt8] = [],
    patience: Duration = .seconds(60), sourceLocation: SourceLocation = #_sourceLocation
  ) throws -> CheckpointError? {
    CheckpointsHDF5Tests.expectFault(code, sourceLocation: sourceLocation) {
      _ = try HDF5HelperProcess(
        reading: source(Array(order.utf8) + bytes),
        executable: Place.program("hostile-reader").path, patience: patience)
    }
  }

  // MARK: The end of a helper

  @Test(arguments: [SIGSEGV, SIGBUS, SIGABRT, SIGILL, SIGFPE, SIGKILL, SIGTERM, SIGPIPE])
  func aSignalIsAnError(number: Int32) throws {
    let error = try expectFault(.hdf5ReaderCrashed, of: "signal \(number)")
    #expect(error?.reason.contains("signal \(number)") == true)
    #expect((error?.reason.contains("SIGSEGV") == true) == (number == SIGSEGV))
  }

  @Test(arguments: [0, 1, 42])
  func leavingEarlyIsAnError(status: Int) throws {
    let error = try expectFault(.hdf5ReaderCrashed, of: "exit \(status)")
    #expect(error?.reason.contains("status \(status)") == true)
  }

  @Test func tooMuchProcessorTimeIsAnError() throws {
    let error = try expectFault(.hdf5ReaderLimit, of: "spin")
    #expect(error?.reason.contains("processor time") == true)
  }

  @Test func silenceIsAnError() throws {
    let error = try expectFault(
      .hdf5ReaderLimit, of: "silent", patience: .milliseconds(300))
    #expect(error?.reason.contains("for 0.3 seconds") == true)
    // The line is closed, the process is not gone: nobody waits for what it may still say.
    try expectFault(.hdf5ReaderCrashed, of: "closed", patience: .seconds(60))
  }

  @Test func aKilledHelperIsAnErrorOfTheTensor() throws {
    let path = Fixtures.path("storage.h5")
    let process = try HDF5HelperProcess(
      reading: ByteSource(contentsOf: path), executable: Place.program("strata").path)
    let entry = try #require(process.directory.entries.firstIndex { $0.name == "gzip-2d" })
    #expect(try process.read(0..<10, of: entry).count == 40)
    let number = process.processIdentifier
    kill(number, SIGSEGV)
    for _ in 0..<2 {
      let error = CheckpointsHDF5Tests.expectFault(.hdf5ReaderCrashed) {
        _ = try process.read(0..<10, of: entry)
      }
      #expect(error?.reason.contains("signal 11, SIGSEGV") == true)
    }
    // Collected: a zombie would still be there.
    #expect(kill(number, 0) == -1 && errno == ESRCH)
  }

  /// Files that end libhdf5 1.10.8 by a signal; newer versions may refuse them, none may do harm.
  @Test func filesThatBreakTheLibraryAreRefused() throws {
    let folder = Fixtures.path("breaking")
    let names = try FileManager.default.contentsOfDirectory(atPath: folder)
    #expect(!names.isEmpty)
    for name in names {
      let error = #expect(throws: CheckpointError.self) {
        try Place.apart.format.open(ByteSource(contentsOf: "\(folder)/\(name)")).verify()
      }
      #expect(error?.file == "\(folder)/\(name)")
    }
  }

  @Test func nothingIsLeftOver() throws {
    var numbers: [Int32] = []
    for name in ["storage.h5", "refused/softLink.loop.h5"] {
      for _ in 0..<3 {
        let process = try? HDF5HelperProcess(
          reading: ByteSource(contentsOf: Fixtures.path(name)),
          executable: Place.program("strata").path)
        if let process { numbers.append(process.processIdentifier) }
      }
    }
    #expect(numbers.count == 3)
    for number in numbers { #expect(kill(number, 0) == -1 && errno == ESRCH) }
  }

  #if os(Linux)
    @Test func descriptorsAreClosed() throws {
      func count() throws -> Int {
        try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count
      }
      let before = try count()
      for _ in 0..<200 {
        try expectFault(.hdf5ReaderCrashed, of: "exit 1")
      }
      // Other tests run meanwhile and have some of their own.
      #expect(try count() < before + 100)
    }
  #endif

  // MARK: What a helper says

  private static let empty = HDF5Directory().encoded

  private static func frame(_ kind: HDF5Exchange.Kind, _ bytes: [UInt8]) -> [UInt8] {
    HDF5Exchange.header(kind, count: bytes.count) + bytes
  }

  /// Answers of an unknown kind, an absurd length, or without sense.
  private static let nonsense: [[UInt8]] = {
    var answers: [[UInt8]] = [
      [9, 0, 0, 0, 0, 0, 0, 0, 0], [0] + [UInt8](repeating: 0xFF, count: 8),
    ]
    answers.append(HDF5Exchange.header(.data, count: 0))
    answers.append(HDF5Exchange.header(.directory, count: .max))
    answers.append(HDF5Exchange.header(.directory, count: 1 << 30))
    answers.append(frame(.directory, []))
    answers.append(frame(.directory, Array(empty.dropLast())))
    answers.append(frame(.directory, empty + [0]))
    answers.append(frame(.directory, [0xFF, 0xFF, 0xFF, 0xFF] + empty))
    answers.append(frame(.fault, []))
    answers.append(frame(.fault, [1, 0, 0, 0, 0x0A]))
    answers.append(frame(.fault, [UInt8](repeating: 0, count: 17)))
    return answers
  }()

  @Test(arguments: nonsense)
  func answersThatAreNoneAreAnError(bytes: [UInt8]) throws {
    let error = try expectFault(.hdf5ReaderCrashed, of: "send ", then: bytes)
    #expect(error?.reason.contains("has sent") == true)
  }

  @Test func halfAnAnswerIsAnError() throws {
    let whole = Self.frame(.directory, Self.empty)
    for count in [0, 1, 8, 9, 10, whole.count - 1] {
      try expectFault(
        .hdf5ReaderLimit, of: "send ", then: Array(whole.prefix(count)),
        patience: .milliseconds(100))
    }
  }

  private static func entry(
    _ name: String = "w", shape: Shape = [4], stored: Int = 16, offset: Int? = 0
  ) -> HDF5Directory.Entry {
    HDF5Directory.Entry(
      name: name, isGolden: false,
      elementType: HDF5ElementType(dtype: .float32, isBigEndian: false), shape: shape,
      storedByteCount: stored, encoding: .raw, offset: offset)
  }

  /// Directories that are well formed, and lie.
  private static let lies: [([HDF5Directory.Entry], CheckpointError.Code)] = {
    let many = (0..<100).map { entry("\($0)", shape: [1 << 20], offset: nil) }
    return [
      ([entry(offset: 1 << 40)], .extentOutOfFile), ([entry(offset: 1000)], .extentOutOfFile),
      ([entry(shape: [5])], .sizeMismatch), ([entry(stored: 1 << 40)], .extentOutOfFile),
      ([entry(), entry()], .duplicateName), ([entry(), entry("v", offset: 4)], .extentOutOfFile),
      ([entry(shape: [1 << 40], offset: nil)], .totalExpansion), (many, .totalExpansion),
    ]
  }()

  @Test(arguments: lies)
  func aDirectoryThatLiesIsAnError(
    entries: [HDF5Directory.Entry], code: CheckpointError.Code
  ) throws {
    var directory = HDF5Directory()
    directory.entries = entries
    try expectFault(code, of: "send ", then: Self.frame(.directory, directory.encoded))
  }

  /// Data that are not as many as were asked for, and a fault in place of data.
  @Test func aWrongAnswerIsAnError() throws {
    var directory = HDF5Directory()
    directory.entries = [Self.entry(offset: nil)]
    let refusal = CheckpointError(.checksumMismatch, "told \u{1B}[2J")
    for (answer, code) in [
      (Self.frame(.data, [1, 2, 3]), .hdf5ReaderCrashed),
      (Self.frame(.data, [UInt8](repeating: 7, count: 17)), .hdf5ReaderCrashed),
      (Self.frame(.directory, directory.encoded), .hdf5ReaderCrashed),
      (Self.frame(.fault, refusal.encoded), .checksumMismatch),
    ] as [([UInt8], CheckpointError.Code)] {
      let process = try HDF5HelperProcess(
        reading: source(
          Array("send ".utf8) + Self.frame(.directory, directory.encoded) + answer),
        executable: Place.program("hostile-reader").path)
      let error = CheckpointsHDF5Tests.expectFault(code) { _ = try process.read(0..<4, of: 0) }
      #expect(error?.description.contains("\u{1B}") == false)
    }
  }

  @Test func theDirectoryComesThroughUnchanged() throws {
    for name in Fixtures.readable {
      let source = try ByteSource(contentsOf: Fixtures.path(name))
      let (directory, _) = try HDF5File(reading: source).walk(source)
      let copy = try HDF5Directory(decoding: Bytes(directory.encoded))
      #expect(copy.encoded.count == directory.encoded.count)
      #expect(copy.metadata == directory.metadata)
      #expect(copy.entries.map(\.name) == directory.entries.map(\.name))
      #expect(copy.entries.map(\.offset) == directory.entries.map(\.offset))
    }
  }

  // MARK: Rights

  #if os(Linux)
    /// Whether a sanitizer that needs memory, files and threads of its own keeps away the wall that refuses
    /// this; Landlock stands for it too.
    private static func isOpenToSanitizers(_ line: String) -> Bool {
      Sanitizer.needsRoom
        && [
          "open the input again", "ask about a file", "have the parent signalled", "socket",
          "datagrams", "local socket", "duplicate", "fork",
          "new code", "memory", "more descriptors",
        ].contains { line.hasPrefix($0) }
    }

    /// A helper that has given up its rights can do nothing of what it tries.
    @Test func aHelperCanDoNothingElse() throws {
      let error = try expectFault(.hdf5Invalid, of: "probe")
      let lines = (error?.reason ?? "").split(separator: "\n").map(String.init)
      #expect(lines.count == 21)
      for line in lines {
        // It must not fail to raise the walls.
        if line.hasPrefix("walls") {
          #expect(line.hasSuffix("DONE"), "\(line)")
        } else if !Self.isOpenToSanitizers(line) {
          #expect(line.hasSuffix("refused"), "\(line)")
        }
      }
    }
  #endif

  // MARK: Helpers that are none

  @Test func aProgramThatOffersNoHelperHasNone() throws {
    // The test bundle's main does not call HDF5Helper.runIfRequested.
    let error = CheckpointsHDF5Tests.expectFault(.isolationUnavailable) {
      _ = try HDF5Format(isolated: true).open(ByteSource(contentsOf: Fixtures.path("nested.h5")))
    }
    #expect(error?.reason.contains("runIfRequested") == true)
    for path in [directory.path("absent"), Fixtures.path("nested.h5")] {
      CheckpointsHDF5Tests.expectFault(.isolationUnavailable) {
        _ = try HDF5Format(isolated: true, helper: URL(filePath: path))
          .open(ByteSource(contentsOf: Fixtures.path("nested.h5")))
      }
    }
  }
}
