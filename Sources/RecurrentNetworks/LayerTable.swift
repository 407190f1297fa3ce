internal import CRecurrentKernels

/// Every layer of a model in every direction with a session's memory of it, as the kernels take them:
/// stack by stack, layer by layer, forward before reverse.
@safe
final class LayerTable {
  let count: Int
  @unsafe let stages: UnsafeMutablePointer<strata_stage>
  /// The output layer, if there is one.
  @unsafe let head: UnsafeMutablePointer<strata_linear>?
  /// Floats of the largest row of terms.
  let termsSize: Int
  /// Bytes of the weights of all layers.
  let byteCount: Int
  /// Products of one step of one sequence.
  let productCount: Int
  private let places: [Place]
  /// The first entry of each stack.
  private let starts: [Int]

  struct Place {
    let stack: Int
    let layer: Int
    let direction: ParameterName.Direction
  }

  /// The model has to outlive the table.
  init(_ model: SequenceModel, _ memories: [StackMemory]) {
    var places: [Place] = []
    var starts: [Int] = []
    for (index, stack) in model.stacks.enumerated() {
      starts.append(places.count)
      for layer in 0..<stack.configuration.layerCount {
        for direction in stack.configuration.directions {
          places.append(Place(stack: index, layer: layer, direction: direction))
        }
      }
    }
    let stages = UnsafeMutablePointer<strata_stage>.allocate(capacity: places.count)
    var (termsSize, productCount) = (0, 0)
    for (index, place) in places.enumerated() {
      var layer = unsafe model.stacks[place.stack].kernelLayer(place.layer, place.direction)
      unsafe (stages + index).initialize(
        to: strata_stage(
          layer: layer, state: memories[place.stack].kernelState(place.layer, place.direction),
          is_backwards: false))
      termsSize = unsafe max(termsSize, strata_terms_size(&layer))
      let configuration = model.stacks[place.stack].configuration
      productCount +=
        configuration.kind.gateCount * configuration.hiddenSize
        * (configuration.inputSize(ofLayer: place.layer) + configuration.stateSize)
        + configuration.projectionSize * configuration.hiddenSize
    }
    if let head = unsafe model.kernelHead {
      unsafe self.head = UnsafeMutablePointer<strata_linear>.allocate(capacity: 1)
      unsafe self.head?.initialize(to: head)
    } else {
      unsafe head = nil
    }
    unsafe self.stages = unsafe stages
    count = places.count
    self.places = places
    self.starts = starts
    self.termsSize = termsSize
    self.productCount = productCount
    byteCount = productCount * MemoryLayout<Float>.stride
  }

  deinit {
    unsafe stages.deallocate()
    unsafe head?.deallocate()
  }

  subscript(index: Int) -> Place { places[index] }

  /// Whether the state of every layer is zero: the kernels then leave out its products.
  var isZero: Bool {
    get { unsafe stages.pointee.state.is_zero }
    set {
      guard newValue != isZero else { return }
      for index in 0..<count { unsafe stages[index].state.is_zero = newValue }
    }
  }

  /// The entry of a layer.
  func index(_ stack: Int, _ layer: Int, _ direction: Int, directions: Int) -> Int {
    starts[stack] + layer * directions + direction
  }
}
