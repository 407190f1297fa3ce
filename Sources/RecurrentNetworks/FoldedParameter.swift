internal import Checkpoints

/// A parameter that a file holds in another form than the module uses it, and that is folded into that
/// one tensor.
public struct FoldedParameter: Hashable, Sendable {
  /// How the parameter is made of its sources.
  public enum Rule: String, Sendable, CaseIterable {
    /// g · v / ‖v‖ of the two halves: `torch.nn.utils.weight_norm`.
    case weightNorm
    /// The `_raw` weight that is trained, in place of the copy that dropout has masked: WeightDrop of
    /// awd-lstm-lm and fastai.
    case weightDrop
  }

  /// The parameter's name, `rnn.weight_hh_l0`.
  public var name: String
  /// The names of the tensors that it is made of, in the order in which the rule speaks of them.
  public var sources: [String]
  /// How.
  public var rule: Rule
}

extension FoldedParameter: CustomStringConvertible {
  /// What was done, `weight_hh_l0 = weight_hh_l0_g · weight_hh_l0_v / ‖weight_hh_l0_v‖`.
  public var description: String {
    switch rule {
    case .weightNorm: "\(name) = \(sources[0]) · \(sources[1]) / ‖\(sources[1])‖"
    case .weightDrop: "\(name) = \(sources[0])"
    }
  }
}

/// Contents whose folded parameters are plain tensors, and what was folded.
struct FoldedContents {
  private(set) var contents: CheckpointContents
  private(set) var folded: [FoldedParameter] = []

  /// Folds every weight norm and every WeightDrop.
  ///
  /// A parameter stands where the first of its sources stood, or the copy that it replaces.
  init(_ source: CheckpointContents) {
    contents = source
    var replacements: [String: StoredTensor?] = [:]
    for norm in source.weightNorms {
      folded.append(FoldedParameter(name: norm.name, sources: norm.halves, rule: .weightNorm))
      replacements[norm.magnitude.name] = norm.tensor
      replacements.updateValue(nil, forKey: norm.direction.name)
    }
    for drop in source.weightDrops {
      folded.append(drop.parameter)
      replacements.updateValue(nil, forKey: drop.parameter.sources[0])
      replacements[drop.hasCopy ? drop.parameter.name : drop.parameter.sources[0]] = drop.tensor
    }
    guard !folded.isEmpty else { return }
    contents.tensors = source.tensors.compactMap { replacements[$0.name] ?? $0 }
  }
}

extension CheckpointContents {
  /// A raw weight under the name of the parameter that it is.
  fileprivate struct WeightDrop {
    var parameter: FoldedParameter
    var tensor: StoredTensor
    /// Whether the masked copy stands there under the parameter's name.
    var hasCopy: Bool
  }

  /// The raw weights of WeightDrop.
  ///
  /// The wrapper of awd-lstm-lm leaves `rnns.0.module.weight_hh_l0_raw` beside the masked copy, that of
  /// fastai `rnns.0.weight_hh_l0_raw` outside the module whose other parameters stand under
  /// `rnns.0.module`.
  fileprivate var weightDrops: [WeightDrop] {
    let byName = Dictionary(tensors.map { ($0.name, $0) }) { first, _ in first }
    let modules = Set(tensors.compactMap { ParameterName($0.name)?.module })
    var names: Set<String> = []
    return tensors.compactMap { raw in
      guard raw.name.hasSuffix("_raw"), var parameter = ParameterName(String(raw.name.dropLast(4)))
      else { return nil }
      let inner = parameter.module.isEmpty ? "module" : parameter.module + ".module"
      if byName[parameter.description] == nil, modules.contains(inner) { parameter.module = inner }
      let name = parameter.description
      let copy = byName[name]
      guard copy == nil || (copy?.shape == raw.shape && copy?.dtype == raw.dtype),
        names.insert(name).inserted
      else { return nil }
      var tensor = raw
      tensor.name = name
      return WeightDrop(
        parameter: FoldedParameter(name: name, sources: [raw.name], rule: .weightDrop),
        tensor: tensor, hasCopy: copy != nil)
    }
  }
}
