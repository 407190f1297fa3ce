import Checkpoints
import Foundation
import TestSupport
import Testing

/// The table of the tool's contract, walked through the real executable, so that neither can drift.
///
/// A change here is a change of the contract: names are added, never taken away or given another meaning.
@Suite struct ContractTests {
  /// A subcommand of the contract.
  struct Command: CustomTestStringConvertible {
    var name: String
    var arguments: String
    /// Every option that there is, without those that all subcommands have.
    var options: [String]
    /// What else the help has to name: the values.
    var values: [String] = []
    /// A call, and the status of it.
    var call: [String]
    var status: Int32 = 0
    /// The keys of the contract, and those that were added since.
    var keys: Set<String>
    var addedKeys: Set<String> = []
    /// By the key of a list, the keys of its entries; those in brackets may be absent.
    var entryKeys: [String: Set<String>] = [:]

    var testDescription: String { name }
  }

  static let commands = [
    Command(
      name: "convert", arguments: "<input> <output>",
      options: [
        "--from", "--to", "--key", "--prefix", "--rename", "--include", "--exclude", "--set",
        "--dtype", "--compress", "--golden", "--shard-size", "--reject-nonfinite", "--force",
      ],
      values: [
        "nonlinearity=tanh|relu", "gru_reset=before|after",
        "sigmoid=logistic|hard_keras2|hard_torch", "batch_first=true|false", "embedding=NAME|none",
        "chain=NAME,NAME|none", "cells=separate|stack", "head=NAME|none",
        "head_activation=none|sigmoid|tanh|relu|softmax", "head_input=all|last|h_n",
        "hdf5_layout=flat|nested", "fold=auto|none", "npz_void2=bf16|refuse", "none|deflate",
        "F64, F32, F16 or BF16", "regex=template",
      ],
      call: ["convert", "bare.h5", "m.strata", "--rename", "^out=fc"],
      keys: [
        "input", "output", "from", "to", "taken", "renamed", "folded", "assumed", "missing",
        "unexpected", "mismatched", "left_over", "ignored", "dropped",
      ],
      addedKeys: [
        "key", "modules", "unfolded", "nearest", "unmatched", "disguised", "told", "overflowed",
        "notes",
      ],
      entryKeys: [
        "renamed": ["from", "to"], "assumed": ["option", "value"],
        "modules": ["name", "type", "inputs", "options", "tensors"],
      ]),
    Command(
      name: "inspect", arguments: "<file>", options: ["--stats", "--tree", "--key", "--set"],
      values: ["npz_void2=bf16|refuse"],
      call: ["inspect", "model.h5", "--stats"],
      keys: ["format", "tensors", "modules", "parameters", "bytes", "metadata"],
      // `fault` too, where the tensors contradict each other.
      addedKeys: [
        "goldens", "ignored", "key", "state_dicts", "folded", "left_over", "disguised",
        "provenance",
      ],
      entryKeys: ["tensors": ["name", "dtype", "shape", "bytes", "encoding", "stats"]]),
    Command(
      name: "explain", arguments: "<file>", options: ["--key", "--set"],
      values: ["npz_void2=bf16|refuse"],
      call: ["explain", "bare.h5"],
      keys: ["file", "modules", "unknown", "origin", "findings"],
      addedKeys: [
        "format", "key", "probable", "spectral_radius", "not_computed", "left_over", "faults",
      ],
      entryKeys: [
        "modules": ["name", "type", "description", "evidence", "parameters"],
        "unknown": ["option", "values", "words", "(assumed)"],
        "spectral_radius": ["tensor", "layer", "direction", "value", "estimated", "(gate)"],
      ]),
    Command(
      name: "verify", arguments: "<model> [<golden>]",
      options: ["--atol", "--rtol", "--precision", "--key", "--set"],
      values: ["float32", "reference", "npz_void2=bf16|refuse"],
      call: ["verify", "model.h5", "golden.h5"],
      // `diagnosis` is to come.
      keys: ["verified", "atol", "rtol", "tolerance_source", "tensors"],
      addedKeys: ["assumed", "unchecked"],
      entryKeys: [
        "tensors": ["name", "reference", "max_abs", "max_rel", "at", "passed", "(bound)"]
      ]),
    Command(
      name: "diff", arguments: "<a> <b>", options: ["--atol", "--rtol", "--key", "--set"],
      values: ["npz_void2=bf16|refuse"],
      call: ["diff", "bare.h5", "other.h5"], status: 1,
      keys: ["equal", "added", "removed", "renamed", "changed"],
      addedKeys: ["options", "metadata", "goldens"],
      entryKeys: [
        "renamed": ["from", "to"],
        "changed": [
          "name", "what", "(max_abs)", "(relative_norm)", "(at)", "(conversion)", "(module)",
          "(layer)", "(direction)", "(gate)", "(gates)",
        ],
      ]),
    Command(
      name: "run", arguments: "<model>",
      options: [
        "--input", "--output", "--threads", "--chunk", "--all-layers", "--init", "--precision",
        "--force", "--module", "--key", "--set",
      ],
      values: ["float32", "reference", "zero|normal:sigma:seed", "npz_void2=bf16|refuse"],
      call: ["run", "model.h5", "--input", "golden.h5", "--output", "r.h5"],
      keys: [], addedKeys: ["output", "tensors", "assumed"],
      entryKeys: ["tensors": ["name", "dtype", "shape"]]),
    Command(
      name: "bench", arguments: "<model>",
      options: ["--steps", "--batch", "--threads", "--module", "--key", "--set"],
      values: ["default: 1", "npz_void2=bf16|refuse"],
      call: ["bench", "model.h5"],
      keys: ["median_us", "min_us", "steps", "batch", "threads", "isa"]),
    Command(
      name: "report", arguments: "<file>",
      options: ["--golden", "--output", "--force", "--key", "--set"],
      values: ["-o, --output", "npz_void2=bf16|refuse"],
      call: ["report", "model.h5", "--golden", "golden.h5", "-o", "r.html"],
      // `fault` too, where it is open what stands at the ends.
      keys: [],
      addedKeys: [
        "output", "tool", "file", "format", "bytes", "parameters", "network", "weights", "parity",
        "run", "assumed", "left_over", "ignored",
      ]),
  ]

  let bench: Workbench

  init() throws {
    bench = try Workbench()
    try bench.take("head-tagger")
    // Nothing tells what an nn.RNN does, and its head has another name.
    let bare = Checkpoint.stack(gates: 1).adding(linear: "out", 2, 5)
    try bench.write(bare, to: "bare.h5")
    // One tensor under another name, one with another value, one of another shape.
    var other = StateDict()
    for (name, tensor) in bare.stateDict {
      switch name {
      case "out.weight": other["fc.weight"] = tensor
      case "bias_ih_l0": other[name] = Tensor([1, 2, 3, 4, 5] as [Float], shape: [5])
      case "bias_hh_l0": other[name] = Tensor([1] as [Float], shape: [1])
      default: other[name] = tensor
      }
    }
    try bench.write(Checkpoint(stateDict: other), to: "other.h5")
  }

  /// The options that a help text lists, `--json` and `--quiet` and those of the parser left out.
  private func listed(_ help: String) throws -> [String] {
    let text = try #require(help.split(separator: "\nOPTIONS:\n").last)
    let options = text.split(separator: "\n").flatMap { line in
      line.matches(of: /^ +(?:-\w, )?(--[a-z-]+)/).map { String($0.output.1) }
    }
    for option in ["--json", "--quiet", "--version", "--help"] {
      #expect(options.contains(option), "\(option): \(help)")
    }
    return options.filter { !["--json", "--quiet", "--version", "--help"].contains($0) }
  }

  @Test(arguments: commands)
  func help(command: Command) throws {
    let texts = try [[command.name, "--help"], ["help", command.name], [command.name, "-h"]].map {
      let result = try Tool.run($0, in: bench.directory)
      #expect(result.status == 0 && result.errors == "", "\(result)")
      return result.output
    }
    for text in texts {
      #expect(Set(try listed(text)) == Set(command.options), "\(text)")
      #expect(text.contains("USAGE: strata \(command.name) "), "\(text)")
      // However the lines are broken.
      let words = text.split { $0.isWhitespace }.joined(separator: " ")
      for value in command.values { #expect(words.contains(value), "\(value): \(words)") }
      for argument in command.arguments.split(separator: " ") {
        #expect(words.contains(argument), "\(argument): \(words)")
      }
    }
  }

  /// One object with exactly the keys of the contract and those that were added; lists hold objects of
  /// one kind.
  @Test(arguments: commands)
  func json(command: Command) throws {
    let result = try Tool.run(command.call + ["--json"], in: bench.directory)
    #expect(result.status == command.status, "\(result)")
    #expect(result.errors == "", "\(result)")
    let object = try result.object()
    #expect(Set(object.keys) == command.keys.union(command.addedKeys), "\(result)")
    for (key, entryKeys) in command.entryKeys {
      let entries = try #require(object[key] as? [[String: Any]], "\(key): \(result)")
      #expect(!entries.isEmpty, "\(key): \(result)")
      let required = entryKeys.filter { !$0.hasPrefix("(") }
      let possible = Set(entryKeys.map { $0.trimmingCharacters(in: ["(", ")"]) })
      for entry in entries {
        #expect(required.isSubset(of: entry.keys), "\(key): \(entry)")
        #expect(possible.isSuperset(of: entry.keys), "\(key): \(entry)")
      }
    }
  }

  /// The overview names every subcommand and no other, every format, and the statuses.
  @Test func overview() throws {
    for arguments in [["--help"], ["help"], ["-h"], []] {
      let result = try Tool.run(arguments, in: bench.directory)
      #expect(result.status == 0 && result.errors == "", "\(result)")
      let list = try #require(result.output.split(separator: "\nSUBCOMMANDS:\n").last)
      let names = list.split(separator: "\n").compactMap {
        $0.firstMatch(of: #/^  ([a-z]+)  /#).map { String($0.output.1) }
      }
      #expect(names == Self.commands.map(\.name), "\(result)")
      for text in ["strata, safetensors, pytorch, npz, npy, hdf5", "64", "--version"] {
        #expect(result.output.contains(text))
      }
    }
  }

  @Test func version() throws {
    let result = try bench.succeed("--version")
    #expect(result.output.wholeMatch(of: /\d+\.\d+\.\d+\n/) != nil, "\(result)")
  }

  /// A script for each shell, with every subcommand and option in it; where the shell is there, it takes
  /// the script.
  @Test(arguments: ["bash", "zsh", "fish"])
  func completion(shell: String) throws {
    let script = try bench.succeed("--generate-completion-script", shell).output
    for command in Self.commands {
      #expect(script.contains(command.name))
      for option in command.options {
        // fish writes the name without its dashes.
        #expect(
          script.contains(shell == "fish" ? String(option.dropFirst(2)) : option),
          "\(command.name) \(option)")
      }
    }
    for directory in ["/bin", "/usr/bin", "/usr/local/bin"] {
      let path = "\(directory)/\(shell)"
      guard FileManager.default.isExecutableFile(atPath: path) else { continue }
      try bench.directory.write(Array(script.utf8), to: "completion")
      let check = try Tool.run(path, ["-n", "completion"], in: bench.directory.path)
      #expect(check.status == 0 && check.errors == "", "\(check)")
      break
    }
    try bench.fail("--generate-completion-script", "tcsh", code: "usage", status: 64)
  }
}
