internal import Checkpoints

/// A parameter that stands in a state dict in the form in which PyTorch trains it, and that only PyTorch,
/// or a half that is not there, can make plain.
///
/// Source: `torch.nn.utils.spectral_norm`, `weight_norm`, `parametrize` and `prune`.
struct Disguise: CustomStringConvertible {
  /// The parameter's name.
  let name: String
  private let form: Form

  private enum Form {
    case spectralNorm(isParametrized: Bool)
    case halfWeightNorm(isParametrized: Bool)
    case pruning
    case weightDrop
    case parametrization
  }

  /// The form that a parameter has among tensors; nil when nothing of it is there.
  init?(of name: String, among names: Set<String>) {
    let module = name.lastIndex(of: ".").map { String(name[..<$0]) } ?? ""
    let leaf = module.isEmpty ? name[...] : name.dropFirst(module.count + 1)
    let path = (module.isEmpty ? "" : module + ".") + "parametrizations.\(leaf)."
    func has(_ endings: String...) -> Bool { endings.contains { names.contains(name + $0) } }
    func keeps(_ parts: String...) -> Bool { parts.contains { names.contains(path + $0) } }
    if has("_mask") {
      form = .pruning
    } else if has("_orig") || keeps("0._u", "0._v") {
      form = .spectralNorm(isParametrized: !has("_orig"))
    } else if has("_g", "_v") || keeps("original0", "original1") {
      form = .halfWeightNorm(isParametrized: !has("_g", "_v"))
    } else if has("_raw") {
      form = .weightDrop
    } else if keeps("original") {
      form = .parametrization
    } else {
      return nil
    }
    self.name = name
  }

  /// The form that a tensor outside of recurrent modules is a part of, where more than one name tells it:
  /// a buffer there may be called `attention_mask` or `bias_u` for reasons of its own.
  init?(besideModules part: String, among names: Set<String>) {
    if Parametrization(part) == nil {
      let endings = ["_orig", "_mask", "_u", "_v", "_g"]
      guard let ending = endings.first(where: { part.hasSuffix($0) }) else { return nil }
      let name = part.dropLast(ending.count)
      let has = { names.contains(name + $0) }
      guard has("_orig") ? has("_mask") || has("_u") : has("_g") && has("_v") else { return nil }
    }
    self.init(holding: part, among: names)
  }

  /// The form that a tensor is a part of.
  init?(holding part: String, among names: Set<String>) {
    if let place = Parametrization(part) {
      self.init(of: place.parameter, among: names)
      return
    }
    let endings = ["_orig", "_mask", "_raw", "_u", "_v", "_g"]
    guard let ending = endings.first(where: { part.hasSuffix($0) }) else { return nil }
    self.init(of: String(part.dropLast(ending.count)), among: names)
  }

  /// What it is, and the way out in Python.
  var description: String {
    func removing(_ call: String) -> String {
      "\(name) is kept by \(call)(module, name) before saving"
    }
    let parametrize = "torch.nn.utils.parametrize.remove_parametrizations"
    switch form {
    case .spectralNorm(let isParametrized):
      return removing(
        "spectral_norm: call "
          + (isParametrized ? parametrize : "torch.nn.utils.remove_spectral_norm"))
    case .halfWeightNorm(let isParametrized):
      return removing(
        "weight_norm, whose halves are not both here or do not fit: call "
          + (isParametrized ? parametrize : "torch.nn.utils.remove_weight_norm"))
    case .pruning:
      return removing("pruning: call torch.nn.utils.prune.remove")
    case .weightDrop:
      return
        "\(name)_raw is the weight of a WeightDrop, but its masked copy is of another shape or dtype"
    case .parametrization:
      return removing("a parametrization: call \(parametrize)")
    }
  }
}
