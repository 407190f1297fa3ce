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
    "nonlinearity", "gru_reset", "sigmoid", "batch_first", "embedding", "chain", "cells", "head",
    "head_activation", "head_input", "fold",
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
    case "fold": fold != .auto
    default: false
    }
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
