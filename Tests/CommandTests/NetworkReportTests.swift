import Checkpoints
import Foundation
import RecurrentNetworks
import TestSupport
import Testing

/// The page that `report` writes; `tools/check_report` looks at it in a browser.
@Suite struct NetworkReportTests {
  let bench: Workbench

  init() throws { bench = try Workbench() }

  /// A page with the object that was printed beside it.
  struct Written {
    var html: String
    var object: [String: Any]

    /// What stands at `parity.tensors.0.max_abs`.
    func value(_ key: String) -> Any? {
      var value: Any? = object
      for part in key.split(separator: ".") {
        if let list = value as? [Any] {
          guard let index = Int(part), list.indices.contains(index) else { return nil }
          value = list[index]
        } else {
          value = (value as? [String: Any])?[String(part)]
        }
      }
      return value
    }
  }

  private func write(
    _ arguments: String..., sourceLocation: SourceLocation = #_sourceLocation
  ) throws -> Written {
    let result = try Tool.run(
      ["report"] + arguments + ["-o", "report.html", "--force", "--json"], in: bench.directory)
    try #require(result.status == 0, "\(result)", sourceLocation: sourceLocation)
    #expect(result.errors == "", "\(result)", sourceLocation: sourceLocation)
    return Written(
      html: String(decoding: try bench.directory.read("report.html"), as: UTF8.self),
      object: try result.object(sourceLocation: sourceLocation))
  }

  @Test(
    "Every number and name of the page is the one of --json",
    arguments: [
      "rnn-relu-l3", "lstm-proj-l2-bi", "gru-l3-bi-bias", "tokens-lstm", "head-h-n",
      "intermediates-lengths", "stacked-kinds", "stacked-tokens", "encoder-decoder", "cell-lstm",
      "cells-gru", "lstm-long", "gru-float16",
    ])
  func numbers(fixture: String) throws {
    try bench.take(fixture)
    let written = try write("model.h5", "--golden", "golden.h5")
    #expect(written.value("parity.verified") as? Bool == true)
    #expect(written.html.contains("✓ Verified"))
    let marked = written.html.matches(
      of: /<(data|tspan|code|span) data-key="([^"]+)"(?: (?:data-)?value="([^"]+)")?>([^<]*)</)
    #expect(marked.count > 30)
    for mark in marked {
      let (key, text) = (String(mark.2), String(mark.4))
      let value = written.value(key)
      if let number = mark.3 {
        // By its digits: Foundation's own conversion of decimal numbers rounds twice.
        let expected = value.flatMap { Double("\($0)") }
        #expect(
          expected != nil && (Double(number) == expected || number == "nan"),
          "\(key): \(number), in --json \(value ?? "nothing")")
      } else {
        // What stands in the text is escaped; a long name is cut in drawings.
        let expected = (value as? String)?.replacing("'", with: "&#39;")
        #expect(
          text == expected || text.contains("…") || (expected == "" && text == "(root)"),
          "\(key): \(text), in --json \(value ?? "nothing")")
      }
    }
    // A figure for each of what has one.
    for key in ["network.chains.0", "weights.layers.0.matrices.0.gates.0.heat_map"] {
      #expect(written.html.contains("data-key=\"\(key)\""))
    }
    let errors = try #require(written.value("run.errors.series") as? [Any])
    #expect(!errors.isEmpty)
    let states = try #require(written.value("run.hidden_states") as? [Any])
    #expect(written.html.matches(of: /img" data-figure="hidden-states"/).count == states.count)
  }

  @Test("The same model and golden give the same bytes; the page loads nothing")
  func deterministic() throws {
    try bench.take("lstm-l3-bi-bias")
    try bench.succeed("report", "model.h5", "--golden", "golden.h5", "-o", "a.html")
    let words = try bench.succeed(
      "report", "model.h5", "--golden", "golden.h5", "--output", "b.html")
    #expect(words.output == "b.html: verified against PyTorch\n")
    #expect(try bench.directory.read("a.html") == bench.directory.read("b.html"))
    let html = String(decoding: try bench.directory.read("a.html"), as: UTF8.self)
    #expect(
      html.contains("content=\"default-src &#39;none&#39;; style-src &#39;unsafe-inline&#39;;"))
    for foreign in ["<script", "http:", "https:", "url(", "@import", "<img", "<link", "src="] {
      #expect(!html.contains(foreign), "\(foreign)")
    }
    // The directory is nobody's business.
    let other = try write(bench.directory.path("model.h5"), "--golden", "golden.h5")
    #expect(!other.html.contains(bench.directory.path))
    #expect(try bench.directory.read("report.html") == bench.directory.read("a.html"))
    #expect(try bench.strata("report", "model.h5", "-o", "q.html", "--quiet").output == "")
  }

  @Test("Parity and errors are those of verify, and of every layer where the golden has them")
  func parity() throws {
    try bench.take("intermediates-gru")
    let written = try write("model.h5", "--golden", "golden.h5")
    let verified = try bench.json("verify", "model.h5", "golden.h5")
    let parity = try #require(written.object["parity"] as? [String: Any])
    #expect(parity as NSDictionary == verified as NSDictionary)
    #expect(written.value("run.errors.complete") as? Bool == true)
    let series = try #require(written.value("run.errors.series") as? [[String: Any]])
    let tensors = try #require(parity["tensors"] as? [[String: Any]])
    for line in series {
      let tensor = try #require(line["tensor"] as? String)
      let row = tensors.first {
        $0["name"] as? String == tensor.replacing("_f64", with: "")
          && $0["reference"] as? String == line["reference"] as? String
      }
      #expect(row?["max_abs"] as? Double == line["largest"] as? Double, "\(tensor)")
    }
    #expect(Set(series.compactMap { $0["layer"] as? Int }).count > 1)

    // Of a golden with the output alone, the last layer.
    try bench.take("gru-l3-bi-bias", as: "plain")
    let plain = try write("plain.h5", "--golden", "plain-golden.h5")
    #expect(plain.value("run.errors.complete") as? Bool == false)
    #expect(plain.html.contains("intermediates=True"))
    let last = try #require(plain.value("run.errors.series") as? [[String: Any]])
    #expect(last.compactMap { $0["layer"] as? Int } == [2, 2, 2, 2])
    // Both directions stand in one tensor.
    let largest = last.filter { $0["reference"] as? String == "float64" }.compactMap {
      $0["largest"] as? Double
    }
    let whole = try #require(plain.value("parity.tensors") as? [[String: Any]]).first {
      $0["name"] as? String == "output" && $0["reference"] as? String == "float64"
    }
    #expect(largest.max() == whole?["max_abs"] as? Double)
  }

  @Test("A sealed golden is used; without any the page tells how to get one")
  func withoutGolden() throws {
    try bench.take("lstm-l1-uni-bias")
    let without = try write("model.h5")
    #expect(without.object["parity"] == nil && without.object["run"] == nil)
    #expect(without.html.contains("– Not compared") && without.html.contains("export(model"))
    try bench.succeed("convert", "model.h5", "model.strata", "--golden", "golden.h5")
    let sealed = try write("model.strata")
    #expect(sealed.value("run.sealed") as? Bool == true)
    #expect(sealed.value("parity.verified") as? Bool == true)
  }

  @Test("A report is a report: what is not verified is told, with status 0")
  func notVerified() throws {
    try bench.take("lstm-l3-uni-bias")
    try bench.take("lstm-l3-uni-nobias", as: "other")
    let words = try bench.succeed(
      "report", "model.h5", "--golden", "other-golden.h5", "-o", "a.html")
    #expect(words.output == "a.html: NOT verified against PyTorch\n")
    let written = try write("model.h5", "--golden", "other-golden.h5")
    #expect(written.html.contains("✗ NOT verified") && written.html.contains("✗ FAILED"))
    #expect(written.value("parity.verified") as? Bool == false)
  }

  @Test("Names of strangers are shown, not obeyed")
  func hostileNames() throws {
    let name = "</code><script>alert(1)</script>\"'><img src=x onerror=alert(1)>&\u{202E}\u{7}"
    let checkpoint = Checkpoint.stack(prefix: "\(name).").adding(
      Tensor([1] as [Float], shape: [1]), "left\(name)")
    try bench.write(checkpoint, to: "a.strata")
    let written = try write("a.strata")
    #expect(!written.html.contains("<script") && !written.html.contains("<img"))
    #expect(!written.html.contains("\u{202E}") && !written.html.contains("\u{7}"))
    #expect(
      written.html.contains(
        "&lt;/code&gt;&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&gt;&lt;img src=x "
          + "onerror=alert(1)&gt;&amp;\\u{202E}\\u{7}"))
    #expect(written.value("network.chains.0.stacks.0.name") as? String == name)
    #expect(written.value("left_over.0") as? String == "left\(name)")
  }

  @Test("Numbers that are none, and weights that are all equal, are drawn as what they are")
  func oddNumbers() throws {
    var checkpoint = Checkpoint.stack(gates: 1, input: 2, hidden: 2)
    checkpoint.stateDict["weight_ih_l0"] = Tensor(
      [Float.nan, 1, -Float.infinity, 2], shape: [2, 2])
    checkpoint.stateDict["weight_hh_l0"] = Tensor([0, 0, 0, 0] as [Float], shape: [2, 2])
    try bench.write(checkpoint, to: "a.strata")
    let written = try write("a.strata")
    let own = "weights.layers.0.matrices"
    #expect(written.value("\(own).0.gates.0.histogram.nonfinite") as? Int == 2)
    #expect(written.value("\(own).0.low") as? Double == 1)
    #expect(written.value("\(own).0.gates.0.heat_map.values.0.0") as? String == "nan")
    #expect(written.html.contains("NaN or infinite"))
    #expect(written.value("\(own).1.gates.0.singular_values") as? [Double] == [0, 0])

    checkpoint.stateDict["weight_hh_l0"] = Tensor([.nan, 0, 0, 0] as [Float], shape: [2, 2])
    try bench.write(checkpoint, to: "b.strata")
    #expect(try write("b.strata").value("weights.omitted_spectra") as? Int == 1)
  }

  @Test("Singular values of matrices whose values are known")
  func singularValues() throws {
    // A rotation and a stretch: [[3, 0], [4, 5]] has √45 and √5; a diagonal has its own entries.
    for (matrix, expected) in [
      ([3, 0, 4, 5] as [Float], [Double(45).squareRoot(), Double(5).squareRoot()]),
      ([-2, 0, 0, 0.5], [2, 0.5]), ([1, 1, 1, 1], [2, 0]),
    ] {
      var checkpoint = Checkpoint.stack(gates: 1, input: 2, hidden: 2)
      checkpoint.stateDict["weight_hh_l0"] = Tensor(matrix, shape: [2, 2])
      try bench.write(checkpoint, to: "a.strata")
      let values = try #require(
        try write("a.strata").value("weights.layers.0.matrices.1.gates.0.singular_values")
          as? [Double])
      for (value, expected) in zip(values, expected) {
        #expect(abs(value - expected) < 1e-14, "\(matrix): \(values)")
      }
    }
  }

  @Test("Large matrices are down-sampled, and deep networks shortened; both is told")
  func large() throws {
    try bench.write(.stack(gates: 3, input: 4, hidden: 44, layers: 30), to: "a.strata")
    let written = try write("a.strata")
    #expect(written.value("weights.omitted_layers") as? Int == 6)
    let own = "weights.layers.0.matrices.1.gates.0.heat_map"
    #expect(written.value("\(own).block") as? [Int] == [2, 2])
    #expect((written.value("\(own).values") as? [Any])?.count == 22)
    #expect(written.html.contains("each cell the largest of"))
    #expect(written.html.contains("layers farther up are left out"))
    #expect(written.html.contains("⋮  layers like these  ⋮"))
  }

  @Test(
    "What does not fit, cannot be read or stands there already is an error, and nothing is written")
  func faults() throws {
    try bench.take("lstm-l1-uni-bias")
    try bench.take("gru-batch-first", as: "other")
    let mismatch = try bench.fail(
      "report", "model.h5", "--golden", "other-golden.h5", "-o", "a.html", code: "goldenMismatch")
    #expect(mismatch.line.contains("other-golden.h5"))
    try bench.fail("report", "absent.h5", "-o", "a.html", code: "fileNotFound")
    try bench.fail(
      "report", "model.h5", "--golden", "absent.h5", "-o", "a.html", code: "fileNotFound")
    try bench.fail("report", "golden.h5", "-o", "a.html", code: "parameterMissing")
    try bench.fail("report", "model.h5", "-o", "model.h5", "--force", code: "sameFile")
    try bench.fail("report", "model.h5", "-o", "-", code: "usage", status: 64)
    try bench.fail("report", "model.h5", code: "usage", status: 64)
    try bench.directory.write(Array("mine".utf8), to: "a.html")
    let exists = try bench.fail("report", "model.h5", "-o", "a.html", code: "exists")
    #expect(exists.line.hasSuffix("; --force replaces it"))
    #expect(try bench.directory.read("a.html") == Array("mine".utf8))
    try bench.succeed("report", "model.h5", "-o", "a.html", "--force")
    #expect(try bench.directory.read("a.html").count > 10_000)
  }
}
