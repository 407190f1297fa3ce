import Checkpoints

/// What Keras writes beside the weights: lists of their names, and how the model is built.
///
/// Nothing of it is followed, and no layer is ever built. But a list that leads elsewhere is a trap for
/// whoever follows it, and a layer that is code is no weight.
struct KerasAttributes {
  /// The paths of all groups and datasets.
  var groups: Set<[String]> = []
  var datasets: Set<[String]> = []

  private struct List {
    var attribute: String
    var place: [String]
    var names: [String]
  }

  private var lists: [List] = []

  /// Whether Keras, and this reader, would take an attribute of this name for more than a text.
  static func isReserved(_ name: String) -> Bool {
    ["weight_names", "layer_names", "model_config"].contains(name.prefix { !$0.isNumber })
  }

  /// Looks at an attribute of the object at a path.
  /// - Throws: `unsupportedLayer`.
  mutating func take(_ attribute: HDF5Attribute, of path: [String]) throws(CheckpointError) {
    // A long list goes over several attributes: `weight_names0`, `weight_names1`, ….
    let name = attribute.name.prefix { !$0.isNumber }
    if name == "weight_names" || name == "layer_names" {
      lists.append(List(attribute: attribute.name, place: path, names: attribute.texts))
    } else if name == "model_config", let layer = Self.code(in: attribute.text) {
      throw CheckpointError(
        .unsupportedLayer, tensor: path.isEmpty ? nil : path.joined(separator: "."),
        "model_config holds Python code, in the layer \"\(layer)\", which is never run; replace it "
          + "by a layer of Keras, or save the weights alone with save_weights")
    }
  }

  /// Checks that what the lists name is there, below the object that has the list.
  /// - Throws: `attributeInvalid`.
  func check() throws(CheckpointError) {
    for list in lists {
      let known = list.attribute.hasPrefix("layer") ? groups : datasets
      for name in list.names {
        let names = name.split(separator: "/", omittingEmptySubsequences: false)
        let path = list.place + names.map(String.init)
        guard known.contains(path) else {
          throw CheckpointError(
            .attributeInvalid,
            tensor: list.place.isEmpty ? nil : list.place.joined(separator: "."),
            "attribute \(list.attribute) names \"\(name)\", which is not there; the file is damaged"
          )
        }
      }
    }
  }

  /// The name of a layer that is code; nil where there is none.
  private static func code(in text: String) -> String? {
    // What is no JSON, Keras does not read either.
    guard let config = try? StrictJSON(Bytes(Array(text.utf8)), largestDepth: 256) else {
      return nil
    }
    var values = [config]
    var layer = "?"
    while let value = values.popLast() {
      for (key, member) in (try? value.members("model_config")) ?? [] {
        if key == "name", let name = try? member.string(key) { layer = name }
        let text = (try? member.string(key)) ?? ""
        let isCode =
          key == "class_name" && ["Lambda", "__lambda__"].contains(text)
          || key.hasSuffix("function_type") && text == "lambda"
        if isCode { return value.layerName ?? layer }
        values.append(member)
      }
      values += (try? value.elements("model_config")) ?? []
    }
    return nil
  }
}

extension StrictJSON {
  /// The name that the configuration of a layer gives it.
  fileprivate var layerName: String? {
    try? (self["config"]?["name"] ?? self["name"])?.string("name")
  }
}
