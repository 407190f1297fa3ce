import Checkpoints
import Foundation
import RecurrentNetworks
import TestSupport
import Testing

@Suite struct InspectTests {
  @Test func table() throws {
    let bench = try Workbench()
    try bench.take("head-classifier")
    let words = try bench.succeed("inspect", "model.h5").output.split(separator: "\n").map(
      String.init)
    #expect(words[0].split(separator: " ") == ["name", "dtype", "shape", "bytes", "encoding"])
    #expect(words.contains("gru.weight_ih_l0  F32    [18, 4]    288  raw"), "\(words)")
    #expect(
      words.contains(
        "gru: GRU(4, 6, batch_first=True) → classify: Linear(6, 2) + sigmoid on the last step"))
    let size = try bench.directory.read("model.h5").count
    #expect(words.contains { $0.hasPrefix("230 parameters, ") && $0.hasSuffix(", format hdf5") })
    #expect(words.contains("head_input: last"))

    try bench.succeed(
      "convert", "model.h5", "m.strata", "--compress", "deflate", "--golden", "golden.h5")
    let deflated = try bench.succeed("inspect", "m.strata").output
    #expect(deflated.contains("golden: input"))
    #expect(deflated.contains("deflate"))

    let report = try bench.json("inspect", "model.h5")
    #expect(
      Set(report.keys).subtracting(["goldens", "ignored", "fault"]) == [
        "format", "key", "state_dicts", "tensors", "modules", "folded", "left_over", "disguised",
        "parameters", "bytes", "metadata", "provenance",
      ])
    #expect(report["format"] as? String == "hdf5")
    #expect(report["parameters"] as? Int == 230)
    #expect(report["bytes"] as? Int == size)
    #expect(
      (report["modules"] as? [[String: Any]])?.compactMap { $0["type"] as? String } == [
        "gru", "linear",
      ])
    let tensors = try #require(report["tensors"] as? [[String: Any]])
    #expect(tensors.count == 6)
    #expect(Set(tensors[0].keys) == ["name", "dtype", "shape", "bytes", "encoding"])
    #expect(tensors[0]["shape"] as? [Int] == [18, 4])
    #expect((report["metadata"] as? [String: String])?["head"] == "classify")
  }

  /// The line that says what the network is.
  @Test(arguments: [
    ("rnn-relu-bi", "RNN("), ("lstm-proj-l2", "proj_size="), ("lstm-dropout", "dropout=0.5"),
    ("gru-l3-bi-bias", "num_layers=3, bidirectional=True"), ("gru-l1-uni-nobias", "bias=False"),
    ("rnn-relu-bi", "nonlinearity='relu'"), ("lstm-batch-first", "batch_first=True"),
  ])
  func architecture(fixture: String, text: String) throws {
    let bench = try Workbench()
    try bench.take(fixture)
    let output = try bench.succeed("inspect", "model.h5").output
    #expect(
      output.split(separator: "\n").contains { $0.contains("(") && $0.contains(text) }, "\(output)")
  }

  @Test(arguments: cases)
  func countsParameters(fixture: String) throws {
    let bench = try Workbench()
    try bench.take(fixture)
    let checkpoint = try bench.read("model.h5")
    let report = try bench.json("inspect", "model.h5")
    #expect(
      report["parameters"] as? Int
        == checkpoint.stateDict.reduce(0) { $0 + $1.tensor.shape.elementCount })
    let tensors = try #require(report["tensors"] as? [[String: Any]])
    #expect(tensors.compactMap { $0["name"] as? String } == checkpoint.stateDict.names)
    #expect(
      tensors.compactMap { $0["dtype"] as? String }
        == checkpoint.stateDict.map(\.tensor.dtype.rawValue))
  }

  @Test func statistics() throws {
    let bench = try Workbench()
    var generator = SeededGenerator(seed: 7)
    let random = (0..<100_000).map { _ in Double.random(in: -3...5, using: &generator) }
    var checkpoint = Checkpoint(stateDict: [
      "odd": Tensor([1, -2, .nan, .infinity, 3.5, -.infinity, .infinity] as [Float], shape: [7]),
      "random": Tensor(random, shape: [1000, 100]),
      "none": Tensor([.nan, .infinity] as [Float], shape: [2]),
      "empty": Tensor([] as [Float], shape: [0, 4]),
      "count": Tensor([5, 7, -3] as [Int64], shape: [3]),
    ])
    checkpoint.goldens["input"] = Tensor([2, 4] as [Float], shape: [2])
    try bench.write(checkpoint, to: "a.strata")
    let report = try bench.json("inspect", "a.strata", "--stats")
    let entries =
      try #require(report["tensors"] as? [[String: Any]])
      + #require(report["goldens"] as? [[String: Any]])
    func stats(_ name: String) throws -> [String: Any] {
      let entry = try #require(entries.first { $0["name"] as? String == name })
      let stats = try #require(entry["stats"] as? [String: Any])
      #expect(Set(stats.keys) == ["min", "max", "mean", "deviation", "nan", "inf"])
      return stats
    }
    func expect(
      _ name: String, _ values: [Double], nan: Int = 0, inf: Int = 0
    ) throws {
      let stats = try stats(name)
      let mean = values.reduce(0, +) / Double(values.count)
      let squares = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
      #expect(stats["min"] as? Double == values.min(), "\(name)")
      #expect(stats["max"] as? Double == values.max(), "\(name)")
      #expect(abs(try #require(stats["mean"] as? Double) - mean) < 1e-10, "\(name)")
      let deviation = (squares / Double(values.count)).squareRoot()
      #expect(abs(try #require(stats["deviation"] as? Double) - deviation) < 1e-10, "\(name)")
      #expect(stats["nan"] as? Int == nan)
      #expect(stats["inf"] as? Int == inf)
    }
    try expect("odd", [1, -2, 3.5], nan: 1, inf: 3)
    try expect("random", random)
    try expect("count", [5, 7, -3])
    try expect("input", [2, 4])
    for name in ["none", "empty"] {
      let stats = try stats(name)
      for key in ["min", "max", "mean", "deviation"] {
        #expect(stats[key] as? String == "nan", "\(name) \(key)")
      }
    }
    let words = try bench.succeed("inspect", "a.strata", "--stats").output
    let odd = try #require(words.split(separator: "\n").first { $0.hasPrefix("odd ") })
    #expect(
      odd.split(separator: " ").suffix(6) == ["-2.00", "3.50", "8.33e-1", "2.25", "1", "3"],
      "\(odd)")
  }

  /// Names that steer a terminal are shown, not obeyed; the JSON has them as they are.
  @Test func hostileNames() throws {
    let bench = try Workbench()
    let name = "\u{1B}]52;c;eA==\u{7}two\nlines\u{202E}\u{E0001}\u{9B}é"
    let checkpoint = Checkpoint(
      stateDict: [name: Tensor([1] as [Float], shape: [1])], metadata: ["k\u{1B}": "v\nw"])
    try bench.write(checkpoint, to: "a.strata")
    for arguments in [["inspect", "a.strata"], ["convert", "a.strata", "b.strata"]] {
      let result = try Tool.run(arguments, in: bench.directory)
      #expect(result.status == 0)
      #expect(!result.output.contains("\u{1B}") && !result.output.contains("\u{7}"), "\(result)")
      #expect(!result.output.contains("\u{202E}"))
      #expect(result.output.contains("\\u{1B}]52;c;eA==\\u{7}two\\u{A}lines\\u{202E}"), "\(result)")
    }
    let raw = try bench.succeed("inspect", "a.strata", "--json").output
    #expect(raw.contains(#"two\nlines\u202e\udb40\udc01\u009bé""#), "\(raw)")
    let report = try bench.json("inspect", "a.strata")
    #expect((report["tensors"] as? [[String: Any]])?.first?["name"] as? String == name)
    try bench.fail("verify", "a.strata", "a.strata", code: "goldenMismatch")

    // In a fault, too.
    let wrong = Checkpoint.stack(prefix: "r\u{1B}[31m\n.")
    var broken = wrong
    broken.stateDict["r\u{1B}[31m\n.weight_hh_l0"] = Tensor([1] as [Float], shape: [1])
    try bench.write(broken, to: "wrong.strata")
    let fault = try bench.fail("convert", "wrong.strata", "o.strata", code: "shapeMismatch")
    #expect(fault.line.contains("\\u{1B}[31m\\u{A}"), "\(fault.line)")
    // And in what the user typed.
    try bench.fail("inspect", "no\u{1B}[31m\nsuch", code: "fileNotFound")
    try bench.fail("convert", "a.strata", "x\u{1B}[31m\ny", code: "usage", status: 64)
    try bench.fail("ins\u{1B}\npect", code: "usage", status: 64)
    let named = try bench.succeed("convert", "a.strata", "c\u{1B}[1m.strata")
    #expect(!named.output.contains("\u{1B}"), "\(named)")
  }

  /// Of a large file that is none of ours only the directory is read; `--stats` reads everything.
  @Test func largeFilesAreNotRead() throws {
    let bench = try Workbench()
    for (count, isRead) in [(1 << 10, true), (17 << 20, false)] {
      let zeros = try Tensor(
        dtype: .uint8, shape: Shape([4 * count]),
        bytes: Bytes([UInt8](repeating: 0, count: 4 * count)))
      try bench.write(Checkpoint(stateDict: ["zeros": zeros]), to: "a.pt")
      // The middle of the file lies in the tensor.
      let handle = try #require(FileHandle(forUpdatingAtPath: bench.directory.path("a.pt")))
      let size = try handle.seekToEnd()
      try handle.seek(toOffset: size / 2)
      try handle.write(contentsOf: Data([1]))
      try handle.close()
      if isRead {
        try bench.fail("inspect", "a.pt", code: "checksumMismatch")
      } else {
        try bench.succeed("inspect", "a.pt")
      }
      let result = try bench.strata("inspect", "a.pt", "--stats")
      #expect(result.status == 2, "\(result)")
    }
  }
}
