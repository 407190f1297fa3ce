import Checkpoints
import FuzzSupport

// What libFuzzer calls.

/// Verifies one input.
///
/// It returns; anything else is a finding.
@c(LLVMFuzzerTestOneInput)
public func testOneInput(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
  Verifying.run(ByteSource(Bytes([UInt8](UnsafeBufferPointer(start: data, count: size)))))
  return 0
}

/// Changes an input, `size` bytes of at most `largest`; gives the new size.
@c(LLVMFuzzerCustomMutator)
public func mutate(
  _ data: UnsafeMutablePointer<UInt8>, _ size: Int, _ largest: Int, _ seed: CUnsignedInt
) -> Int {
  mutate(data, size, largest, seed) { input, dice in
    StrataImage.mutated(input, largest: largest, using: &dice)
  }
}
