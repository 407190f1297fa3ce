import TestSupport
import Testing

@testable import Checkpoints

/// Which state dict of a nested file is meant.
@Suite struct CheckpointContentsTests {
  /// Contents with state dicts of one tensor each.
  private func contents(_ names: String...) throws -> CheckpointContents {
    var stateDict = StateDict()
    for name in names { try stateDict.append(Tensor([1] as [Float], shape: [1]), named: name) }
    var contents = Checkpoint(stateDict: stateDict).contents
    contents.stateDicts = names.map { name in
      NestedStateDict(
        path: String(name.prefix { $0 != "." }), tensorCount: 1, byteCount: 4,
        holdsRecurrentWeights: NestedStateDict.isRecurrentWeight(name))
    }
    return contents
  }

  @Test func theOnlyRecurrentOneIsMeant() throws {
    for name in [
      "weight_ih_l0", "rnn.weight_hh_l1_reverse", "cells.0.weight_ih", "rnn.weight_hh_l0_g",
      "rnn.parametrizations.weight_hh_l0.original0",
    ] {
      let chosen = try contents("scaler.mean", "model.\(name)", "loss.weight").choosing(.only)
      #expect(chosen.tensors.map(\.name) == [name])
      #expect(chosen.ignored == ["2 tensors beside model"])
    }
  }

  @Test func theOnlyOneIsMeantWhateverItHolds() throws {
    #expect(try contents("model.fc.weight").path(of: .only) == "model")
    #expect(try contents().path(of: .only) == "")
  }

  @Test(arguments: [
    ["a.fc.weight", "b.fc.weight"], ["a.weight_ih_l0", "b.weight_ih_l0", "c.mean"],
  ])
  func severalAreAnError(names: [String]) throws {
    let contents =
      names.count == 2
      ? try contents(names[0], names[1]) : try contents(names[0], names[1], names[2])
    let error = #expect(throws: CheckpointError.self) { try contents.choosing(.only) }
    #expect(error?.code == .ambiguousModel)
    for path in names.map({ $0.prefix(1) }) {
      #expect(error?.reason.contains("\(path) (1 tensor, 4 bytes)") == true)
    }
    #expect(try contents.choosing(.at("b.")).tensors.count == 1)
  }
}
