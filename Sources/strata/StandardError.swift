#if canImport(Darwin)
  import Darwin
#elseif canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Android)
  import Android
#endif

/// Standard error as a place to print to.
struct StandardError: TextOutputStream {
  func write(_ string: String) {
    var rest = Array(string.utf8)[...]
    while !rest.isEmpty {
      let written = unsafe rest.withUnsafeBytes { unsafe Self.write($0) }
      guard written > 0 else { return }
      rest = rest.dropFirst(written)
    }
  }

  private static func write(_ bytes: UnsafeRawBufferPointer) -> Int {
    #if canImport(Darwin)
      unsafe Darwin.write(STDERR_FILENO, bytes.baseAddress, bytes.count)
    #elseif canImport(Glibc)
      unsafe Glibc.write(STDERR_FILENO, bytes.baseAddress, bytes.count)
    #elseif canImport(Musl)
      unsafe Musl.write(STDERR_FILENO, bytes.baseAddress, bytes.count)
    #else
      unsafe Android.write(STDERR_FILENO, bytes.baseAddress, bytes.count)
    #endif
  }
}
