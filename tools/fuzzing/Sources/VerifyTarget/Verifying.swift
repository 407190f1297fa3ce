import Checkpoints
import FuzzSupport
import RecurrentNetworks

/// `strata verify` on one file: model and goldens are read, the weights mapped and packed, both
/// arithmetics run, and their results compared.
///
/// Before that what `convert --golden` checks without running the model, and behind it what `run` does, step
/// by step.
enum Verifying {
  /// The most bytes that model and goldens may have, and the most multiplications that running them may
  /// take: more would measure the processor.
  private static let largest = 1 << 18
  private static let mostWork = 1 << 24

  static func run(_ source: ByteSource) {
    do throws(CheckpointError) {
      let contents = try StrataFormat().open(source)
      guard isSmall(contents) else { return }
      let goldens = try StateDict(reading: contents.goldens)
      let tolerance = try Verification.Tolerance(sealedIn: contents.metadata)
      _ = tolerance.sealed
      do throws(CheckpointError) {
        try Verification.check(goldens, fit: contents)
      } catch {
        _ = error.description
      }
      for precision in Verification.Precision.allCases {
        let verification = try Verification(
          contents, goldens: goldens, tolerance: tolerance, precision: precision)
        _ = (verification.isPassed, verification.usesFloat64)
        PlantedBug.infinity.spring(verification.rows.contains { $0.largestError == .infinity })
      }
      let model = try SequenceModel(ModelBlueprint(contents))
      _ = try model.selfTest()
      _ = try model.evaluate(goldens, chunk: 1, allLayers: true)
    } catch {
      _ = error.description
    }
  }

  private static func isSmall(_ contents: CheckpointContents) -> Bool {
    func bytes(_ tensors: [StoredTensor]) -> Int {
      tensors.reduce(0) { sum, tensor in
        let (next, overflow) = sum.addingReportingOverflow(tensor.shape.elementCount)
        return overflow ? .max : next
      }
    }
    let (model, goldens) = (bytes(contents.tensors), bytes(contents.goldens))
    return model <= largest && goldens <= largest && (model + 1) * (goldens + 1) <= mostWork
  }
}
