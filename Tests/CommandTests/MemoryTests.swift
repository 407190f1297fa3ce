import Checkpoints
import CheckpointsHDF5
import Foundation
import TestSupport
import Testing

#if os(Linux)
  /// A large file goes through a small memory.
  @Suite(.serialized) struct MemoryTests {
    /// The memory that a run may have resident, and whatever a sanitizer takes.
    private static let mostMemory = Sanitizer.isOn ? Int.max : 200_000_000

    /// 600 MB of tensors that are computed when asked for.
    private struct Pattern: TensorBytes {
      func bytes(in range: Range<Int>) -> Bytes {
        // Not constant, and cheap: the high byte of the position.
        let first = UInt8(truncatingIfNeeded: range.lowerBound >> 20)
        return Bytes([UInt8](repeating: first, count: range.count))
      }
    }

    private func contents(tensors: Int = 3) throws -> CheckpointContents {
      let shape: Shape = [50_000, 1000]
      let tensors = (0..<tensors).map {
        StoredTensor(
          name: "table.\($0)", dtype: .float32, shape: shape,
          storedByteCount: shape.byteCount(of: .float32), encoding: "raw", file: nil,
          contents: Pattern())
      }
      return CheckpointContents(tensors: tensors)
    }

    /// The most memory that a run of the tool had resident at any time, in bytes.
    private func peak(_ arguments: [String], in directory: String) throws -> Int {
      var peak = 0
      let result = try Tool.run(Tool.path, arguments, in: directory) { process in
        peak = max(peak, residentBytes(of: process))
      }
      try #require(result.status == 0, "\(result)")
      #expect(peak > 1 << 20, "the memory was never seen")
      return peak
    }

    @Test func conversions() throws {
      let bench = try Workbench()
      for (name, format) in [
        ("a.strata", StrataFormat() as any CheckpointFormat), ("a.h5", HDF5Format()),
      ] {
        try contents().write(to: bench.directory.path(name), format: format)
      }
      for (input, output) in [
        ("a.strata", "b.strata"), ("a.h5", "b.strata"), ("a.strata", "b.h5"),
      ] {
        let peak = try peak(
          ["convert", input, output, "--force", "--quiet"], in: bench.directory.path)
        #expect(peak < Self.mostMemory, "\(input) → \(output): \(peak / 1_000_000) MB")
      }
      #expect(
        try peak(["inspect", "a.strata", "--quiet"], in: bench.directory.path) < Self.mostMemory)
    }

    /// 160 MB, of which every value is looked at, and two of them compared.
    @Test func examination() throws {
      let bench = try Workbench()
      let shape: Shape = [20_000, 1000]
      var contents = CheckpointContents()
      contents.tensors = [
        StoredTensor(
          name: "table", dtype: .float64, shape: shape,
          storedByteCount: shape.byteCount(of: .float64), encoding: "raw", file: nil,
          contents: Pattern())
      ]
      try contents.write(to: bench.directory.path("a.strata"), format: StrataFormat())
      for arguments in [["explain", "a.strata"], ["diff", "a.strata", "a.strata"]] {
        let peak = try peak(arguments + ["--quiet"], in: bench.directory.path)
        #expect(peak < Self.mostMemory / 2, "\(arguments): \(peak / 1_000_000) MB")
      }
    }

    /// A signal in the middle of a conversion: the shell's status, and nothing left behind, nor lost.
    @Test func signals() throws {
      let bench = try Workbench()
      // 400 MB, of which nothing is done before the hidden file is there.
      try contents(tensors: 2).write(
        to: bench.directory.path("a.strata"), format: StrataFormat())
      try bench.directory.write(Array("the old one".utf8), to: "old.strata")
      for (number, status, target) in [
        (SIGINT, 130, "b.strata"), (SIGTERM, 143, "b.h5"), (SIGTERM, 143, "old.strata"),
        (SIGINT, 130, "b.h5"),
      ] as [(Int32, Int32, String)] {
        var isSent = false
        let result = try Tool.run(
          Tool.path,
          ["convert", "a.strata", target, "--compress", "deflate", "--force", "--quiet"],
          in: bench.directory.path
        ) { process in
          let hidden = (try? bench.directory.names())?.first { $0.hasPrefix(".") }
          guard !isSent, let hidden,
            let size = try? FileManager.default.attributesOfItem(
              atPath: bench.directory.path(hidden))[.size] as? Int, size > 100_000
          else { return }
          isSent = kill(process, number) == 0
        }
        #expect(isSent, "\(result)")
        #expect(result.status == status, "\(target): \(result)")
        #expect(result.output + result.errors == "", "\(result)")
        #expect(try bench.directory.names() == ["a.strata", "old.strata"], "\(target)")
        #expect(try bench.directory.read("old.strata") == Array("the old one".utf8))
      }
    }
  }
#endif
