import Checkpoints
import RecurrentNetworks
import TestSupport
import Testing

@Suite struct SelfTestTests {
  /// The modules to load of cases that hold more than one model.
  static let modules: [String: [String]] = [
    "encoder-decoder": ["encoder", "encoder.rnn", "decoder.rnn"],
    "cells-lstm": ["cells.0", "cells.1"], "cells-gru": ["cells.0", "cells.1"],
  ]

  /// A case with its golden sealed in.
  private func sealed(
    _ name: String, _ tolerance: Verification.Tolerance? = nil
  ) throws -> Checkpoint {
    var checkpoint = try Checkpoint(Goldens.modelReader(name))
    checkpoint.goldens = try Goldens.golden(name)
    if let tolerance {
      checkpoint.metadata[Verification.Tolerance.metadataKey] = tolerance.sealed
    }
    return checkpoint
  }

  /// The cases whose whole file is one model.
  static let wholes = Goldens.cases.filter { modules[$0] == nil && $0 != "convolution-gru" }

  @Test("A model that carries goldens tests itself", arguments: wholes)
  func whole(name: String) throws {
    let verification = try SequenceModel(sealed(name)).selfTest()
    #expect(verification.isPassed)
    #expect(!verification.rows.isEmpty)
    #expect(verification.tolerance == .standard)
  }

  @Test(
    "Each of several models in one file is loaded and tested alone",
    arguments: modules.keys.sorted())
  func several(name: String) throws {
    let checkpoint = try sealed(name)
    expectFault(.ambiguousModel) { _ = try SequenceModel(checkpoint) }
    for module in try #require(Self.modules[name]) {
      let model = try SequenceModel(checkpoint, module: module)
      #expect(model.stacks.count == 1)
      #expect(model.stacks[0].name.hasPrefix(module))
      // The decoder's head, `generator`, stands outside the module and belongs to it all the same.
      #expect((model.blueprint.head != nil) == (model.stacks[0].name == "decoder.rnn"))
      let verification = try model.selfTest()
      #expect(verification.rows.allSatisfy { $0.name.hasPrefix(module) })
      #expect(verification.rows.contains { $0.name.hasSuffix(".h_n") })
    }
  }

  @Test("Several models in one file are loaded from the file one by one")
  func fromFile() throws {
    let path = Goldens.modelPath("encoder-decoder")
    let golden = try Goldens.golden("encoder-decoder")
    for (module, isBidirectional) in [("encoder", true), ("decoder", false)] {
      let model = try SequenceModel(
        contentsOf: path, module: module, formats: Goldens.formats)
      #expect(model.stacks.map(\.name) == [module + ".rnn"])
      #expect(model.blueprint.isBidirectional == isBidirectional)
      let prefix = module + ".rnn."
      let results = try model.evaluate(golden, prefix: prefix)
      for name in ["output", "h_n", "c_n"] {
        let found = try #require(results[prefix + name]).doubles()
        let expected = try #require(golden[prefix + name]).doubles()
        #expect(zip(found, expected).allSatisfy { abs($0 - $1) <= 1e-6 + 1e-6 * abs($1) })
      }
    }
    expectFault(.ambiguousModel) {
      _ = try SequenceModel(contentsOf: path, formats: Goldens.formats)
    }
    expectFault(.parameterMissing) {
      _ = try SequenceModel(contentsOf: path, module: "middle", formats: Goldens.formats)
    }
  }

  @Test(
    "A golden that is another one fails, by name, unless the tolerance allows it",
    arguments: ["lstm-l3-bi-bias", "packed-last-bi", "tokens-gru-softmax"])
  func notVerified(name: String) throws {
    let names = try sealed(name).goldens.map(\.name).filter {
      ["output", "h_n", "c_n", "y"].contains($0.hasSuffix("_f64") ? String($0.dropLast(4)) : $0)
    }
    #expect(names.count >= 4)
    for tensor in names {
      for position in [0, -1] {
        func changed(_ tolerance: Verification.Tolerance?) throws -> SequenceModel {
          var checkpoint = try sealed(name, tolerance)
          let golden = try #require(checkpoint.goldens[tensor])
          var values = try golden.doubles()
          values[position < 0 ? values.count - 1 : position] += 1e-3
          checkpoint.goldens[tensor] = try Tensor(values, shape: golden.shape)
            .converted(to: golden.dtype)
          return try SequenceModel(checkpoint)
        }
        // The standard would take the change for PyTorch's own error.
        let small = Verification.Tolerance.elementwise(absolute: 1e-5, relative: 1e-5)
        let error = expectFault(.notVerified) { try changed(small).selfTest() }
        #expect(error?.tensor == tensor || error?.tensor == String(tensor.dropLast(4)))
        #expect(error?.reason.contains("off by") == true)
        #expect(throws: Never.self) {
          try changed(.elementwise(absolute: 1, relative: 0)).selfTest()
        }
      }
    }
    let exact = Verification.Tolerance.elementwise(absolute: 0, relative: 0)
    expectFault(.notVerified) { try SequenceModel(sealed(name, exact)).selfTest() }
  }

  @Test("The float64 golden that is another one fails the standard tolerance")
  func standard() throws {
    var checkpoint = try sealed("lstm-l3-bi-bias")
    let golden = try #require(checkpoint.goldens["output"])
    var values = try golden.doubles()
    values[3] += 1e-3
    checkpoint.goldens["output"] = Tensor(values, shape: golden.shape)
    // Without float64 the standard is 1e-5 and 1e-5.
    checkpoint.goldens["output_f64"] = nil
    let error = expectFault(.notVerified) { try SequenceModel(checkpoint).selfTest() }
    #expect(error?.tensor == "output")
    #expect(error?.reason.contains("[0, 0, 3]") == true)
  }

  @Test("A model without goldens, or with those of another, cannot test itself")
  func noGolden() throws {
    expectFault(.goldenMismatch) {
      try SequenceModel(Checkpoint(Goldens.modelReader("lstm-l3-bi-bias"))).selfTest()
    }
    var checkpoint = try sealed("lstm-l3-bi-bias")
    checkpoint.goldens["input"] = nil
    expectFault(.goldenMismatch) { try SequenceModel(checkpoint).selfTest() }
    checkpoint.goldens = try Goldens.golden("gru-odd-sizes")
    expectFault(.goldenMismatch) { try SequenceModel(checkpoint).selfTest() }
    // Inputs alone prove nothing.
    checkpoint = try sealed("gru-odd-sizes")
    checkpoint.goldens = ["input": try #require(checkpoint.goldens["input"])]
    expectFault(.goldenMismatch) { try SequenceModel(checkpoint).selfTest() }
  }

  @Test(
    "A sealed tolerance is read as it was written",
    arguments: [
      Verification.Tolerance.standard, .elementwise(absolute: 1e-6, relative: 0),
      .elementwise(absolute: 0.1, relative: 1.0 / 3), .elementwise(absolute: 0, relative: 1e-300),
    ])
  func tolerances(tolerance: Verification.Tolerance) throws {
    let key = Verification.Tolerance.metadataKey
    #expect(try Verification.Tolerance(sealedIn: [key: tolerance.sealed]) == tolerance)
    #expect(try Verification.Tolerance(sealedIn: [:]) == .standard)
    let loose = Verification.Tolerance.elementwise(absolute: 0.1, relative: 0.1)
    let verification = try SequenceModel(sealed("gru-odd-sizes", loose)).selfTest()
    #expect(verification.tolerance == loose)
  }

  @Test(
    "A sealed tolerance that is none is refused when the model is loaded",
    arguments: [
      "", "none", "atol=1", "atol=1 rtol=", "rtol=1 atol=1", "atol=-1 rtol=0", "atol=nan rtol=0",
      "atol=inf rtol=0", "atol=1 rtol=0 x", "1 1",
    ])
  func wrongTolerances(text: String) throws {
    var checkpoint = try sealed("gru-odd-sizes")
    checkpoint.metadata[Verification.Tolerance.metadataKey] = text
    expectFault(.metadataInvalid) { _ = try SequenceModel(checkpoint) }
  }
}
