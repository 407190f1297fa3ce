/// What shapes cannot tell about a model, as far as the user says it (`--set OPTION=VALUE`).
///
/// What stays nil is taken from the file's model description, its metadata or its module records, and
/// otherwise assumed.
public struct ModelOptions: Hashable, Sendable {
  /// `nonlinearity=tanh|relu`: the activation of every RNN.
  public var nonlinearity: RecurrentConfiguration.Nonlinearity?
  /// `gru_reset=before|after`: where the reset gate of every GRU stands.
  public var gruReset: RecurrentConfiguration.GRUReset?
  /// `sigmoid=logistic|hard_keras2|hard_torch`: the sigmoid of the gates of every LSTM and GRU.
  public var sigmoid: RecurrentConfiguration.Sigmoid?
  /// `batch_first=true|false`: whether inputs and outputs are [batch, steps, features].
  public var batchFirst: Bool?
  /// `embedding=NAME|none`: the path of the table that tokens are looked up in; `none` for none.
  public var embedding: String?
  /// `chain=NAME,NAME,…|none`: the recurrent modules that follow each other; empty for none.
  public var chain: [String]?
  /// `cells=separate|stack`: whether cells are modules of their own, or a stack where one's output is
  /// the next one's input.
  public var cells: Cells?
  /// `head=NAME|none`: the path of the output layer; `none` for no output layer.
  public var head: String?
  /// `head_activation=none|sigmoid|tanh|relu|softmax`.
  public var headActivation: HeadConfiguration.Activation?
  /// `head_input=all|last|h_n`.
  public var headInput: HeadConfiguration.Input?

  /// `state=given|swapped|zero`: what the given initial states are.
  public var state: RecurrentConfiguration.GivenState?

  // How the file's weights stand otherwise than PyTorch's.

  /// `gate_order=iofg`: the gates in the file's order, of the letters i f g o, or r z n.
  public var gateOrder: String?
  /// `transpose=true|false`: whether matrices are [inputs, outputs].
  public var isTransposed: Bool?
  /// `bias=merged|swapped`: what became of the two biases.
  public var bias: Convention.Bias?
  /// `direction=swapped`: whether the weights of both directions are exchanged.
  public var swapsDirections = false
  /// `layer_order=2,0,1`: for each layer its index in the file.
  public var layerOrder: [Int]?
  /// `projection=ignored`: whether a projection is there that is not to be applied.
  public var ignoresProjection = false
  /// `forget_bias=VALUE`: what is to be added to the bias of the forget gates.
  public var forgetBias: Double?

  /// `fold=auto|none`: whether the halves of a weight norm and the raw weights of WeightDrop become the
  /// parameters that they stand for.
  public var fold = Fold.auto

  /// Whether parameters are folded.
  public enum Fold: String, Sendable, CaseIterable {
    /// Wherever every part is there and fits.
    case auto
    /// Nowhere: a module that would need it is none.
    case none
  }

  /// What several cells are.
  public enum Cells: String, Sendable, CaseIterable {
    /// Each a module of its own.
    case separate
    /// The layers of a stack.
    case stack
  }

  /// Says nothing.
  public init() {}

  /// The names of all options.
  public static let names = [
    "nonlinearity", "batch_first", "embedding", "chain", "cells", "head", "head_activation",
    "head_input", "gru_reset", "sigmoid", "state", "gate_order", "transpose", "bias", "direction",
    "layer_order", "projection", "forget_bias", "fold",
  ]

  /// Sets an option by its name.
  /// - Returns: What is wrong with the value, in words; nil when it was set. Names that are not in
  ///   `names` are the caller's fault.
  public mutating func set(_ name: String, to value: String) -> String? {
    switch name {
    case "nonlinearity":
      return assign(&nonlinearity, value)
    case "gru_reset":
      return assign(&gruReset, value)
    case "sigmoid":
      return assign(&sigmoid, value)
    case "batch_first":
      guard let flag = Bool(value) else { return "must be true or false" }
      batchFirst = flag
    case "embedding":
      guard !value.isEmpty else { return "must be the path of an embedding, or none" }
      embedding = value
    case "chain":
      let names = value.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
      guard names.allSatisfy({ !$0.isEmpty }) else { return "must be paths with commas, or none" }
      chain = value == "none" ? [] : names
    case "cells":
      return assign(&cells, value)
    case "head":
      guard !value.isEmpty else { return "must be the path of a linear layer, or none" }
      head = value
    case "head_activation":
      return assign(&headActivation, value)
    case "head_input":
      return assign(&headInput, value)
    case "state":
      return assign(&state, value)
    case "gate_order":
      guard Convention.kind(ofGates: value) != nil else {
        return "must have each of i f g o, or of r z n, once"
      }
      gateOrder = value
    case "transpose":
      guard let flag = Bool(value) else { return "must be true or false" }
      isTransposed = flag
    case "bias":
      return assign(&bias, value)
    case "direction":
      guard value == "swapped" else { return "must be swapped" }
      swapsDirections = true
    case "layer_order":
      let order = value.split(separator: ",", omittingEmptySubsequences: false).map { Int($0) }
      guard order.compactMap(\.self).sorted() == Array(order.indices) else {
        return "must have every index from 0 once, with commas"
      }
      layerOrder = order.compactMap(\.self)
    case "projection":
      guard value == "ignored" else { return "must be ignored" }
      ignoresProjection = true
    case "forget_bias":
      guard let number = Double(value), number.isFinite else { return "must be a number" }
      forgetBias = number
    case "fold":
      guard let choice = Fold(rawValue: value) else { return "must be one of auto, none" }
      fold = choice
    default:
      preconditionFailure("no option is called \(name)")
    }
    return nil
  }

  /// Whether the user says an option; false for names that are not in `names`.
  public func says(_ name: String) -> Bool {
    switch name {
    case "nonlinearity": nonlinearity != nil
    case "gru_reset": gruReset != nil
    case "sigmoid": sigmoid != nil
    case "batch_first": batchFirst != nil
    case "embedding": embedding != nil
    case "chain": chain != nil
    case "cells": cells != nil
    case "head": head != nil
    case "head_activation": headActivation != nil
    case "head_input": headInput != nil
    case "state": state != nil
    case "gate_order": gateOrder != nil
    case "transpose": isTransposed != nil
    case "bias": bias != nil
    case "direction": swapsDirections
    case "layer_order": layerOrder != nil
    case "projection": ignoresProjection
    case "forget_bias": forgetBias != nil
    case "fold": fold != .auto
    default: false
    }
  }

  /// Says what a convention says.
  public mutating func adopt(_ convention: Convention) {
    let parts = convention.setting.split(separator: "=", maxSplits: 1)
    let fault = set(String(parts[0]), to: String(parts[1]))
    precondition(fault == nil, "\(convention.setting): \(fault ?? "")")
  }

  private func assign<Value: RawRepresentable & CaseIterable>(
    _ option: inout Value?, _ text: String
  ) -> String? where Value.RawValue == String {
    guard let value = Value(rawValue: text) else {
      return "must be one of \(Value.allCases.map(\.rawValue).joined(separator: ", "))"
    }
    option = value
    return nil
  }
}
