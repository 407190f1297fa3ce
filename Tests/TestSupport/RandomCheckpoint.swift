public import Checkpoints

/// A checkpoint with every dtype in every kind of shape.
///
/// Names are hard to carry, and bit patterns easily lost: quiet and signalling NaN with payloads, −0,
/// infinities, subnormals.
public func randomCheckpoint(seed: UInt64) throws -> Checkpoint {
  var generator = SeededGenerator(seed: seed)
  let shapes: [Shape] = [[], [0], [3, 0, 2], [1], [2, 3, 4], [1, 1, 1, 5, 1]]
  var names = difficultNames
  var checkpoint = Checkpoint(stateDict: StateDict())
  for dtype in DType.allCases {
    for (index, shape) in shapes.enumerated() {
      let name = names.popLast() ?? "\(dtype.rawValue.lowercased()).\(index)"
      let tensor = try randomTensor(dtype, shape: shape, using: &generator)
      try checkpoint.stateDict.append(tensor, named: name)
    }
    let golden = try randomTensor(
      dtype,
      shape: [Int.random(in: 1...40, using: &generator)],
      using: &generator
    )
    try checkpoint.goldens.append(golden, named: "output.\(dtype.rawValue)")
  }
  checkpoint.metadata = [
    "": "", "seed": "\(seed)", "größe": "naïve 🎼", "z\u{0}\n": "\u{1B}]52;c;\u{7}", "a": "1",
    "B": "2",
  ]
  checkpoint.moduleRecords = [
    ModuleRecord(
      path: "encoder.rnn",
      type: "torch.nn.LSTM",
      options: ["hidden_size": .number(5), "bias": .bool(true), "mode": .string("a/b")]
    )
  ]
  checkpoint.modelDescription = #"{"version":1}"#
  return checkpoint
}

/// Random elements, of which about a quarter are edge cases of their dtype.
///
/// A bool is 0 or 1.
public func randomTensor(
  _ dtype: DType,
  shape: Shape,
  using generator: inout SeededGenerator
) throws -> Tensor {
  let edges = edgePatterns(of: dtype)
  var bytes: [UInt8] = []
  bytes.reserveCapacity(shape.byteCount(of: dtype))
  for _ in 0..<shape.elementCount {
    var pattern = generator.next()
    if pattern >> 62 == 0 { pattern = edges[Int(pattern % UInt64(edges.count))] }
    if dtype == .bool { pattern &= 1 }
    for byte in 0..<dtype.size {
      bytes.append(UInt8(truncatingIfNeeded: pattern >> UInt64(8 * byte)))
    }
  }
  return try Tensor(dtype: dtype, shape: shape, bytes: Bytes(bytes))
}

/// Bit patterns at the borders of what a dtype can say.
public func edgePatterns(of dtype: DType) -> [UInt64] {
  let widths: (exponent: UInt64, fraction: UInt64)
  switch dtype {
  case .float64: widths = (11, 52)
  case .float32: widths = (8, 23)
  case .float16: widths = (5, 10)
  case .bfloat16: widths = (8, 7)
  default: return [0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, .max >> 1, 1 << 63, .max]
  }
  let sign: UInt64 = 1 << (widths.exponent + widths.fraction)
  let infinity: UInt64 = ((1 << widths.exponent) - 1) << widths.fraction
  let smallestNormal: UInt64 = 1 << widths.fraction
  let quiet = infinity | smallestNormal >> 1
  let positive: [UInt64] = [
    0, 1, smallestNormal - 1, smallestNormal, infinity - 1, infinity, quiet, quiet | 5,
    infinity | 1,
    infinity | 3,
  ]
  return positive + positive.map { $0 | sign }
}

/// Names that a format, a file system or a terminal may choke on; every one is legal.
public let difficultNames = [
  String(repeating: "n", count: 1024), String(repeating: "ü", count: 512), "a", " ", "/", "../x",
  "/etc/passwd", "größe", "重み.重", "\u{1B}[31mred", "two\nlines", "\u{202E}reversed", "🎼🎹",
  "\u{FEFF}",
]
