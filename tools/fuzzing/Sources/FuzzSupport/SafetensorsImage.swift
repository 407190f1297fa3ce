/// A safetensors file whose header's length is put right after a mutation.
public enum SafetensorsImage {
  private static let lengthSize = 8

  /// A file changed in one place, most of the time in its header.
  public static func mutated(_ file: [UInt8], largest: Int, using dice: inout Dice) -> [UInt8] {
    let length = file.integer(at: 0, as: UInt64.self)
    guard dice.roll(8) > 0, file.count >= lengthSize, length <= file.count - lengthSize else {
      return file.mutated(largest: largest)
    }
    let end = lengthSize + Int(length)
    let room = max(0, largest - file.count)
    let header = Array(file[lengthSize..<end]).mutated(largest: Int(length) + room)
    var output: [UInt8] = []
    output.append(UInt64(header.count))
    return output + header + file[end...]
  }
}
