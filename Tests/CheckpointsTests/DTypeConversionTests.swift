import Checkpoints
import TestSupport
import Testing

@Suite("DType+Conversion")
struct DTypeConversionTests {
  @Test("0 and 1 survive every pair", arguments: DType.allCases, DType.allCases)
  func everyPair(source: DType, target: DType) throws {
    let values = try Tensor([Int64(0), 1, 1, 0], shape: [2, 2]).converted(to: source)
    #expect(values.bytes.count == 4 * source.size)
    let converted = try values.converted(to: target)
    #expect(converted.dtype == target)
    #expect(converted.shape == [2, 2])
    #expect(try converted.integers() == [0, 1, 1, 0])
    #expect(try converted.converted(to: source) == values)
  }

  @Test("An empty tensor and a scalar keep their shapes", arguments: DType.allCases)
  func emptyAndScalar(dtype: DType) throws {
    #expect(try Tensor([Float](), shape: [3, 0]).converted(to: dtype).shape == [3, 0])
    #expect(try Tensor([Float(1)], shape: []).converted(to: dtype).shape == [])
  }

  // MARK: Every pattern of 16 bits

  /// The value of a pattern, put together as its definition says.
  static func value(_ pattern: Int, exponentBits: Int, fractionBits: Int) -> Double {
    let bias = 1 << (exponentBits - 1) - 1
    let fraction = pattern & (1 << fractionBits - 1)
    let exponent = pattern >> fractionBits & (1 << exponentBits - 1)
    let sign: Double = pattern >> (exponentBits + fractionBits) == 0 ? 1 : -1
    if exponent == 1 << exponentBits - 1 { return fraction == 0 ? sign * .infinity : .nan }
    let unit = Double(sign: .plus, exponent: max(exponent, 1) - bias - fractionBits, significand: 1)
    return sign * Double(exponent == 0 ? fraction : fraction | 1 << fractionBits) * unit
  }

  struct Half: Sendable, CustomTestStringConvertible {
    var dtype: DType
    var exponentBits: Int
    var fractionBits: Int
    var testDescription: String { dtype.rawValue }

    var infinity: Int { (1 << exponentBits - 1) << fractionBits }
    var quietBit: Int { 1 << (fractionBits - 1) }
    func value(_ pattern: Int) -> Double {
      DTypeConversionTests.value(pattern, exponentBits: exponentBits, fractionBits: fractionBits)
    }
    func isNaN(_ pattern: Int) -> Bool { pattern & 0x7FFF > infinity }

    static let all = [
      Half(dtype: .float16, exponentBits: 5, fractionBits: 10),
      Half(dtype: .bfloat16, exponentBits: 8, fractionBits: 7),
    ]
  }

  @Test("All 65,536 patterns widen exactly and come back", arguments: Half.all)
  func everyHalf(half: Half) throws {
    let all = try Tensor(half.dtype, patterns: (0...0xFFFF).map { UInt64($0) }, shape: [65536])
    for wide in [DType.float32, .float64] {
      let widened = try all.converted(to: wide)
      let values = try widened.doubles()
      let back = try widened.converted(to: half.dtype).patterns
      for pattern in 0...0xFFFF {
        let wanted = half.value(pattern)
        if half.isNaN(pattern) {
          try #require(values[pattern].isNaN, "\(wide) of \(pattern)")
          try #require(values[pattern].sign == (pattern < 0x8000 ? .plus : .minus))
          try #require(Int(back[pattern]) == pattern | half.quietBit, "\(wide) of \(pattern)")
        } else {
          try #require(values[pattern].bitPattern == wanted.bitPattern, "\(wide) of \(pattern)")
          try #require(Int(back[pattern]) == pattern, "\(wide) of \(pattern)")
        }
      }
    }
  }

  @Test("Every boundary between two neighbours rounds to even", arguments: Half.all)
  func everyTie(half: Half) throws {
    // The neighbour above the largest finite value stands for the overflow.
    var values: [Double] = []
    var wanted: [UInt64] = []
    for lower in 0..<half.infinity {
      let below = half.value(lower)
      let above =
        lower + 1 < half.infinity ? half.value(lower + 1) : 2 * below - half.value(lower - 1)
      let middle = (below + above) / 2
      values += [middle.nextDown, middle, middle.nextUp, -middle]
      let even = UInt64(lower + lower % 2)
      wanted += [UInt64(lower), even, UInt64(lower + 1), even | 0x8000]
    }
    let rounded = try Tensor(values, shape: Shape([values.count])).converted(to: half.dtype)
      .patterns
    for index in values.indices {
      try #require(rounded[index] == wanted[index], "\(values[index]) to \(half.dtype)")
    }
  }

  @Test("What is too large, too small or no number", arguments: Half.all)
  func extremes(half: Half) throws {
    let infinity = UInt64(half.infinity)
    let values = [
      Double.greatestFiniteMagnitude, -.infinity, .leastNonzeroMagnitude, -.leastNormalMagnitude,
      -0.0, .init(bitPattern: 0x7FF0_0000_0000_0001), .init(bitPattern: 0xFFF0_0000_0000_0001),
    ]
    let quiet = infinity | UInt64(half.quietBit)
    #expect(
      try Tensor(values, shape: [7]).converted(to: half.dtype).patterns == [
        infinity, infinity | 0x8000, 0, 0x8000, 0x8000, quiet, quiet | 0x8000,
      ]
    )
  }

  @Test("NaN keeps the upper bits of its payload")
  func payload() throws {
    let nan = try Tensor(.float64, patterns: [0xFFF4_9249_2492_4925], shape: [])
    #expect(try nan.converted(to: .float32).patterns == [0xFFE4_9249])
    #expect(try nan.converted(to: .float16).patterns == [0xFF24])
    #expect(try nan.converted(to: .bfloat16).patterns == [0xFFE4])
  }

  // MARK: Against the processor

  @Test("F64 to F32 is what the processor does")
  func hardware() throws {
    var generator = SeededGenerator(seed: 1)
    let edges: [Double] = [
      0, -0.0, .infinity, -.infinity, 3.4028235677973366e38, 3.4028235677973362e38, 7.0e-46,
      7.006492321624085e-46, 7.006492321624086e-46, 1.1754943508222874e-38, 0x1p-1070, -1e300,
    ]
    let random = (0..<100_000).map { _ in
      // All of the exponents, and those of F32 more often.
      let bits = generator.next()
      let near = (bits & ~(0x7FF << 52)) | (860 + bits % 300) << 52
      return Double(bitPattern: bits & 1 == 0 ? bits : near)
    }
    let values = edges + random.filter { !$0.isNaN }
    let rounded = try Tensor(values, shape: Shape([values.count])).converted(to: .float32).patterns
    for (value, pattern) in zip(values, rounded) {
      try #require(pattern == UInt64(Float(value).bitPattern), "\(value), \(generator)")
    }
  }

  #if !(os(macOS) && arch(x86_64))
    @Test("F32 to F16 is what Swift's Float16 does")
    func float16() throws {
      var generator = SeededGenerator(seed: 2)
      let values = (0..<100_000).map { _ in
        let bits = UInt32(truncatingIfNeeded: generator.next())
        return Float(bitPattern: (bits & ~(0xFF << 23)) | (100 + bits % 46) << 23)
      }
      let rounded = try Tensor(values, shape: Shape([values.count])).converted(to: .float16)
        .patterns
      for (value, pattern) in zip(values, rounded) {
        try #require(pattern == UInt64(Float16(value).bitPattern), "\(value), \(generator)")
      }
    }
  #endif

  // MARK: Integers

  @Test("64-bit integers round once to F32 and F64")
  func integersToFloats() throws {
    var generator = SeededGenerator(seed: 3)
    var unsigned: [UInt64] = [0, 1, .max, 1 << 63, 1 << 63 + 1, 1 << 53 + 1, 1 << 24 + 1]
    for _ in 0..<20_000 { unsigned.append(generator.next() >> (generator.next() % 64)) }
    let signed = unsigned.map { Int64(bitPattern: $0) }
    let shape = try Shape([unsigned.count])
    let u64 = try Tensor(.uint64, patterns: unsigned, shape: shape)
    #expect(try u64.floats() == unsigned.map { Float($0) }, "\(generator)")
    #expect(try u64.doubles() == unsigned.map { Double($0) }, "\(generator)")
    let i64 = Tensor(signed, shape: shape)
    #expect(try i64.floats() == signed.map { Float($0) }, "\(generator)")
    #expect(try i64.doubles() == signed.map { Double($0) }, "\(generator)")
  }

  @Test("No double rounding: just above and below every tie", arguments: Half.all)
  func integersToHalves(half: Half) throws {
    // Above a tie t, t + 1 rounds up; a Double would first turn a large t + 1 into t.
    var integers: [UInt64] = []
    var wanted: [UInt64] = []
    for lower in 0..<(half.infinity - 1) {
      let middle = (half.value(lower) + half.value(lower + 1)) / 2
      guard let tie = UInt64(exactly: middle), tie > 1, tie < 1 << 63 else { continue }
      integers += [tie - 1, tie, tie + 1]
      wanted += [UInt64(lower), UInt64(lower + lower % 2), UInt64(lower + 1)]
    }
    #expect(integers.count > 3000)
    let shape = try Shape([integers.count])
    // Where neighbours are two apart, one less or more than a tie is a neighbour itself.
    let u64 = try Tensor(.uint64, patterns: integers, shape: shape)
    #expect(try u64.converted(to: half.dtype).patterns == wanted)
    let negative = Tensor(integers.map { -Int64($0) }, shape: shape)
    #expect(try negative.converted(to: half.dtype).patterns == wanted.map { $0 | 0x8000 })
  }

  @Test(
    "The largest integers",
    arguments: [
      (DType.float16, [0x7C00, 0x7C00, 0xFC00]), (.bfloat16, [0x5F80, 0x5F00, 0xDF00]),
      (.float32, [0x5F80_0000, 0x5F00_0000, 0xDF00_0000]),
    ] as [(DType, [UInt64])]
  )
  func largestIntegers(target: DType, patterns: [UInt64]) throws {
    let unsigned = try Tensor(.uint64, patterns: [.max], shape: [])
    let signed = Tensor([Int64.max, Int64.min], shape: [2])
    #expect(try unsigned.converted(to: target).patterns == [patterns[0]])
    #expect(try signed.converted(to: target).patterns == Array(patterns[1...]))
  }

  static let integerRanges: [DType: ClosedRange<Int128>] = [
    .int8: -0x80...0x7F, .int16: -0x8000...0x7FFF, .int32: -0x8000_0000...0x7FFF_FFFF,
    .int64: Int128(Int64.min)...Int128(Int64.max), .uint8: 0...0xFF, .uint16: 0...0xFFFF,
    .uint32: 0...0xFFFF_FFFF, .uint64: 0...Int128(UInt64.max), .bool: 0...1,
  ]

  @Test(
    "Between integers: exact or refused",
    arguments: integerRanges.keys.sorted { $0.rawValue < $1.rawValue }
  )
  func integersToIntegers(source: DType) throws {
    let from = try #require(Self.integerRanges[source])
    let borders = Self.integerRanges.values.flatMap {
      [$0.lowerBound - 1, $0.lowerBound, $0.upperBound, $0.upperBound + 1]
    }
    for value in Set(borders) where from.contains(value) {
      let tensor = try Tensor(source, patterns: [UInt64(truncatingIfNeeded: value)], shape: [])
      for (target, range) in Self.integerRanges {
        if range.contains(value) {
          let mask: UInt64 = target.size == 8 ? .max : 1 << UInt64(8 * target.size) - 1
          let pattern = UInt64(truncatingIfNeeded: value) & mask
          #expect(try tensor.converted(to: target).patterns == [pattern], "\(value) to \(target)")
        } else {
          #expect(
            code { () throws(CheckpointError) in try tensor.converted(to: target) }
              == .notRepresentable
          )
        }
      }
    }
  }

  @Test(
    "Floats that are no integers of the target are refused",
    arguments: [
      (1.5, DType.int64), (.nan, .int64), (.infinity, .int64), (0x1p63, .int64),
      (-0x1p63 - 2048, .int64),
      (128, .int8), (-129, .int8), (-1, .uint8), (0x1p64, .uint64), (2, .bool), (0.5, .bool),
      (.nan, .bool),
    ]
  )
  func refused(value: Double, target: DType) throws {
    let tensor = Tensor([0, 1, value], shape: [3])
    do throws(CheckpointError) {
      _ = try tensor.converted(to: target)
      Issue.record("\(value) became \(target)")
    } catch {
      #expect(error.code == .notRepresentable)
      #expect(error.reason.contains("element 2"))
      #expect(error.reason.contains(target.rawValue))
    }
  }

  @Test("The borders of integers as floats are taken")
  func taken() throws {
    #expect(try Tensor([-0x1p63, 0x1p62, -0.0], shape: [3]).integers() == [.min, 1 << 62, 0])
    let unsigned = try Tensor([0x1.fffffffffffffp63], shape: []).converted(to: .uint64)
    #expect(unsigned.patterns == [0xFFFF_FFFF_FFFF_F800])
  }

  @Test("A stored tensor is converted while it is read, in any ranges of whole elements")
  func stored() throws {
    var generator = SeededGenerator(seed: 4)
    let tensor = try randomTensor(.float64, shape: [1000], using: &generator)
    let stored = try StoredTensor(tensor, named: "x").converted(to: .bfloat16)
    let whole = try tensor.converted(to: .bfloat16)
    #expect(try stored.read() == whole)
    for _ in 0..<100 {
      let range = randomRange(1000, using: &generator)
      #expect(
        try stored.bytes(in: (2 * range.lowerBound)..<(2 * range.upperBound))
          == whole.bytes[(2 * range.lowerBound)..<(2 * range.upperBound)],
        "\(generator)"
      )
    }
    let integers = try StoredTensor(Tensor([1.0, 2.5], shape: [2]), named: "x").converted(to: .int8)
    do throws(CheckpointError) {
      _ = try integers.read()
      Issue.record("2.5 became an int8")
    } catch {
      #expect(error.code == .notRepresentable)
      #expect(error.tensor == "x")
    }
  }
}
