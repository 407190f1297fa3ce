import Checkpoints
import Testing

@Suite("CheckpointError")
struct CheckpointErrorTests {
  @Test(
    "Names that could steer a terminal are spelled out",
    arguments: [
      ("weight", "weight"), ("größe 🎼", "größe 🎼"), ("\u{1B}[31m", "\\u{1B}[31m"),
      ("\u{1B}]52;c;YQ==\u{7}", "\\u{1B}]52;c;YQ==\\u{7}"), ("a\nb\r\n", "a\\u{A}b\\u{D}\\u{A}"),
      ("\u{202E}x\u{2066}", "\\u{202E}x\\u{2066}"), ("\u{9B}31m", "\\u{9B}31m"),
      ("\u{2028}\u{2029}", "\\u{2028}\\u{2029}"), ("\u{0}\u{7F}", "\\u{0}\\u{7F}"),
      ("\u{FEFF}\u{E000}", "\\u{FEFF}\\u{E000}"),
    ]
  )
  func escaping(name: String, shown: String) {
    #expect(name.escapedForDisplay == shown)
  }

  @Test("One line: file, tensor, rule, offset")
  func description() {
    let error = CheckpointError(
      .sizeMismatch,
      file: "a\n.h5",
      tensor: "\u{1B}w",
      offset: 64,
      "two\nlines"
    )
    #expect(error.description == "a\\u{A}.h5: \\u{1B}w: two\\u{A}lines (at byte 64)")
    #expect(CheckpointError(.exists, "rule").description == "rule")
  }

  @Test("A place that is known is not overwritten")
  func located() {
    let error = CheckpointError(.hole, file: "inner", "rule")
      .located(file: "outer", tensor: "w", offset: 3)
    #expect(error.file == "inner")
    #expect(error.tensor == "w")
    #expect(error.offset == 3)
  }
}
