import Checkpoints
import Foundation
import TestSupport
import Testing

/// `convert` writes down where its output comes from, and `inspect` shows it.
@Suite struct ProvenanceTests {
  private struct Step: Decodable, Equatable {
    struct Source: Decodable, Equatable {
      var name: String
      var format: String
      var bytes: Int
      var sha256: String
    }
    struct Assumed: Decodable, Equatable {
      var option: String
      var value: String
    }
    var tool: String
    var sources: [Source]
    var options: [String]
    var assumed: [Assumed]
  }

  private static let key = "strata_provenance"

  private func steps(_ bench: Workbench, _ name: String) throws -> [Step] {
    let text = try #require(try bench.read(name).metadata[Self.key])
    return try JSONDecoder().decode([Step].self, from: Data(text.utf8))
  }

  /// What another program says of the file.
  private func sha256(_ bench: Workbench, _ name: String) throws -> String {
    let script =
      "import hashlib, sys; print(hashlib.sha256(open(sys.argv[1], 'rb').read()).hexdigest())"
    let result = try Tool.run(
      "/usr/bin/env", ["python3", "-c", script, name], in: bench.directory.path)
    try #require(result.status == 0, "\(result)")
    return result.output.trimmingCharacters(in: .whitespacesAndNewlines)
  }

  private func bench() throws -> Workbench {
    let bench = try Workbench()
    try bench.write(.stack().adding(linear: "fc", 2, 5), to: "model.safetensors")
    return bench
  }

  @Test(
    "The source's hash, the tool, every option and every assumption, in each format that holds text",
    arguments: ["strata", "h5", "safetensors"])
  func written(target: String) throws {
    let bench = try bench()
    let report = try bench.json(
      "convert", "./model.safetensors", "out.\(target)", "--dtype", "F16", "--rename", "^fc=head",
      "--set", "batch_first=true", "--include", ".")
    let steps = try steps(bench, "out.\(target)")
    let step = try #require(steps.first)
    #expect(steps.count == 1)
    #expect(step.tool == "strata 0.1.0")
    let size = try bench.directory.read("model.safetensors").count
    #expect(
      step.sources == [
        .init(
          name: "model.safetensors", format: "safetensors", bytes: size,
          sha256: try sha256(bench, "model.safetensors"))
      ])
    #expect(
      step.options == [
        "--include", ".", "--rename", "^fc=head", "--set", "batch_first=true", "--dtype", "F16",
      ])
    let assumed = try #require(report["assumed"] as? [[String: String]])
    #expect(step.assumed.map(\.option) == assumed.map { $0["option"] })
    #expect(step.assumed.contains(.init(option: "head", value: "head")))

    let words = try bench.succeed("inspect", "out.\(target)").output
    #expect(
      words.contains("made by strata 0.1.0 from model.safetensors (safetensors, "), "\(words)")
    #expect(words.contains(step.sources[0].sha256))
    #expect(words.contains("  options: --include . --rename ^fc=head"))
    let shown = try #require(
      try bench.json("inspect", "out.\(target)")["provenance"] as? [[String: Any]])
    #expect(shown.first?["tool"] as? String == step.tool)
  }

  @Test("The same file elsewhere, later, by someone else, gives the same bytes")
  func reproducible() throws {
    let bench = try bench()
    try bench.succeed("convert", "model.safetensors", "a.strata", "--quiet")
    let elsewhere = try Workbench()
    try elsewhere.directory.write(
      bench.directory.read("model.safetensors"), to: "model.safetensors")
    let result = try Tool.run(
      Tool.path,
      ["convert", elsewhere.directory.path("model.safetensors"), "b.strata", "--quiet"],
      in: bench.directory.path,
      environment: ["USER": "somebody", "HOSTNAME": "elsewhere", "TZ": "Asia/Tokyo", "HOME": "/"])
    #expect(result.status == 0, "\(result)")
    #expect(try bench.directory.read("a.strata") == bench.directory.read("b.strata"))
  }

  @Test("Each conversion adds its step; a .strata file of which nothing is asked stays itself")
  func history() throws {
    let bench = try bench()
    try bench.succeed("convert", "model.safetensors", "a.strata", "--quiet")
    let first = try steps(bench, "a.strata")
    try bench.succeed("convert", "a.strata", "same.strata", "--quiet")
    #expect(try bench.directory.read("a.strata") == bench.directory.read("same.strata"))
    for (target, options) in [
      ("b.h5", ["--compress", "deflate"]), ("b.safetensors", []),
      ("b.strata", ["--compress", "deflate"]),
    ] {
      let result = try Tool.run(["convert", "a.strata", target] + options, in: bench.directory)
      #expect(result.status == 0, "\(result)")
      let both = try steps(bench, target)
      #expect(both.dropLast() == first[...], "\(target)")
      #expect(both.last?.sources.first?.sha256 == (try sha256(bench, "a.strata")), "\(target)")
      #expect(both.last?.options == options, "\(target)")
    }
    try bench.succeed("convert", "b.h5", "c.strata", "--dtype", "BF16", "--quiet")
    let three = try steps(bench, "c.strata")
    #expect(three.dropLast() == (try steps(bench, "b.h5"))[...])
    #expect(three.last?.sources.first?.sha256 == (try sha256(bench, "b.h5")))
    #expect(three.last?.options == ["--dtype", "BF16"])
  }

  @Test("Of a checkpoint in several files each is named, and the goldens' file as well")
  func severalFiles() throws {
    let bench = try bench()
    try bench.succeed(
      "convert", "model.safetensors", "s.safetensors", "--shard-size", "300", "--quiet")
    let shards = try bench.directory.names().filter { $0.hasPrefix("s-") }.sorted()
    #expect(shards.count > 1)
    try bench.succeed(
      "convert", "s.safetensors.index.json", "x.strata", "--rename", "^fc=head", "--quiet")
    let sources = try #require(try steps(bench, "x.strata").last?.sources)
    #expect(sources.map(\.name) == ["s.safetensors.index.json"] + shards)
    for source in sources {
      #expect(source.sha256 == (try sha256(bench, source.name)), "\(source.name)")
    }
    // Each shard tells it too.
    for shard in shards { #expect(try steps(bench, shard).first?.sources.count == 1) }

    try bench.take("lstm-l1-uni-bias")
    try bench.succeed("convert", "model.h5", "m.strata", "--golden", "./golden.h5", "--quiet")
    let step = try #require(try steps(bench, "m.strata").last)
    #expect(step.sources.map(\.name) == ["model.h5", "golden.h5"])
    #expect(step.sources.last?.sha256 == (try sha256(bench, "golden.h5")))
    #expect(step.options == ["--golden", "golden.h5"])
  }

  @Test(
    "A text that is no provenance is told, and not carried along as one; nothing in it steers a terminal"
  )
  func hostile() throws {
    let bench = try Workbench()
    for (index, text) in ["no JSON", "{}", String(repeating: "[", count: 100_000)].enumerated() {
      var checkpoint = Checkpoint.stack()
      checkpoint.metadata[Self.key] = text
      try bench.write(checkpoint, to: "in-\(index).strata")
      try bench.succeed("inspect", "in-\(index).strata")
      let report = try bench.json(
        "convert", "in-\(index).strata", "out-\(index).strata", "--dtype", "F16")
      let ignored = try #require(report["ignored"] as? [String])
      #expect(ignored.contains { $0.hasPrefix("strata_provenance") }, "\(ignored)")
      #expect(try steps(bench, "out-\(index).strata").count == 1)
    }
    var checkpoint = Checkpoint.stack()
    checkpoint.metadata[Self.key] =
      #"[{"tool":"\u001b[2J\n","sources":[{"name":"\u202ex","format":"\r","bytes":-1,"sha256":"\u0007"}],"#
      + #""options":["\u001b"],"assumed":[]}]"#
    try bench.write(checkpoint, to: "escapes.strata")
    let words = try bench.succeed("inspect", "escapes.strata").output
    #expect(words.contains("made by \\u{1B}[2J"), "\(words)")
    #expect(words.unicodeScalars.allSatisfy { $0 == "\n" || $0.value >= 32 && $0 != "\u{202E}" })
  }
}
