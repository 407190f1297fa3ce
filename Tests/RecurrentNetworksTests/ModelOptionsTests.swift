import RecurrentNetworks
import Testing

@Suite struct ModelOptionsTests {
  @Test func everyNameCanBeSet() {
    let values = [
      "nonlinearity": "relu", "batch_first": "true", "head": "fc", "head_activation": "softmax",
      "head_input": "h_n", "embedding": "emb", "cells": "stack", "chain": "a.b,c",
      "fold": "none", "gru_reset": "before", "sigmoid": "hard_keras2", "state": "zero",
      "gate_order": "zrn", "transpose": "true", "bias": "swapped", "direction": "swapped",
      "layer_order": "1,0", "projection": "ignored", "forget_bias": "-0.5",
    ]
    #expect(Set(values.keys) == Set(ModelOptions.names))
    var options = ModelOptions()
    for (name, value) in values { #expect(options.set(name, to: value) == nil) }
    var expected = ModelOptions()
    expected.nonlinearity = .relu
    expected.batchFirst = true
    expected.head = "fc"
    expected.headActivation = .softmax
    expected.headInput = .finalState
    expected.embedding = "emb"
    expected.cells = .stack
    expected.chain = ["a.b", "c"]
    expected.fold = .none
    expected.gruReset = .before
    expected.sigmoid = .hardKeras2
    expected.state = .zero
    expected.gateOrder = "zrn"
    expected.isTransposed = true
    expected.bias = .swapped
    expected.swapsDirections = true
    expected.layerOrder = [1, 0]
    expected.ignoresProjection = true
    expected.forgetBias = -0.5
    #expect(options == expected)
  }

  @Test(
    "A wrong value is told and changes nothing",
    arguments: [
      ("nonlinearity", "Tanh"), ("nonlinearity", ""), ("batch_first", "True"), ("batch_first", "1"),
      ("head", ""), ("head_activation", "gelu"), ("head_input", "first"),
      ("embedding", ""), ("cells", "list"), ("cells", ""), ("fold", "all"),
      ("gru_reset", "true"), ("sigmoid", "hard"),
    ])
  func wrongValue(name: String, value: String) {
    var options = ModelOptions()
    #expect(options.set(name, to: value)?.hasPrefix("must be ") == true)
    #expect(options == ModelOptions())
  }

  @Test("Every value of a choice is accepted")
  func choices() {
    for value in HeadConfiguration.Activation.allCases {
      var options = ModelOptions()
      #expect(options.set("head_activation", to: value.rawValue) == nil)
      #expect(options.headActivation == value)
    }
    for value in HeadConfiguration.Input.allCases {
      var options = ModelOptions()
      #expect(options.set("head_input", to: value.rawValue) == nil)
      #expect(options.headInput == value)
    }
    for value in RecurrentConfiguration.GRUReset.allCases {
      var options = ModelOptions()
      #expect(options.set("gru_reset", to: value.rawValue) == nil)
      #expect(options.gruReset == value && options.says("gru_reset"))
    }
    for value in RecurrentConfiguration.Sigmoid.allCases {
      var options = ModelOptions()
      #expect(options.set("sigmoid", to: value.rawValue) == nil)
      #expect(options.sigmoid == value && options.says("sigmoid"))
    }
    for value in ModelOptions.Cells.allCases {
      var options = ModelOptions()
      #expect(options.set("cells", to: value.rawValue) == nil)
      #expect(options.cells == value)
    }
  }
}
