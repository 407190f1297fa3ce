public import Checkpoints

// A saved state, little-endian: magic, version, the model's modules in words, progress, batch size, for
// every stack h and c as float32, and the CRC-32 of all that.

extension Session {
  private static let magic: [UInt8] = [0x89] + Array("STATE".utf8) + [0x0D, 0x0A]
  private static let version: UInt32 = 1

  /// The state in a form that outlives the process: versioned, checksummed, and bound to a model of the
  /// same modules and to the batch size.
  public func savedState() -> [UInt8] {
    var writer = ByteWriter()
    writer.append(contentsOf: Self.magic)
    writer.append(Self.version)
    let modules = Array(model.blueprint.description.utf8)
    writer.append(UInt32(modules.count))
    writer.append(contentsOf: modules)
    writer.append(progress.rawValue)
    writer.append(UInt32(batchSize))
    for stack in state {
      for value in stack.hidden + stack.cell { writer.append(value.bitPattern) }
    }
    writer.append(CRC32(Bytes(writer.array)).value)
    return writer.array
  }

  /// Goes on where a saved state stands.
  /// - Throws: `stateMismatch` when the bytes are damaged, of an unknown version, of another model or of
  ///   another batch size; then the session is as it was.
  public func restore(from saved: [UInt8]) throws(CheckpointError) {
    func mismatch(_ reason: String) -> CheckpointError { CheckpointError(.stateMismatch, reason) }
    let bytes = Bytes(saved)
    guard saved.starts(with: Self.magic), saved.count >= Self.magic.count + 4 else {
      throw mismatch("these bytes are no saved state")
    }
    let end = bytes.count - 4
    guard CRC32(bytes[0..<end]).value == bytes.integer(at: end, as: UInt32.self) else {
      throw mismatch("the saved state does not match its checksum")
    }
    var reader = ByteReader(bytes[0..<end])
    do throws(CheckpointError) {
      _ = try reader.take(Self.magic.count, "magic")
      let version = try reader.integer(UInt32.self, "version")
      guard version == Self.version else {
        throw mismatch("version \(version) of saved states, not \(Self.version)")
      }
      let modules = try reader.text(try reader.length("length", as: UInt32.self), "modules")
      guard modules == model.blueprint.description else {
        throw mismatch("the state of \(modules), but the model is \(model.blueprint.description)")
      }
      let progress = Progress(rawValue: try reader.integer(UInt32.self, "progress"))
      let batchSize = try reader.length("batch size", as: UInt32.self)
      guard let progress else { throw mismatch("an unknown progress") }
      guard batchSize == self.batchSize else {
        throw mismatch("a batch of \(batchSize), but the session has \(self.batchSize)")
      }
      var states = model.stacks.map { RecurrentState($0.configuration, batchSize: batchSize) }
      for index in states.indices {
        for position in states[index].hidden.indices {
          states[index].hidden[position] = Float(
            bitPattern: try reader.integer(UInt32.self, "hidden state"))
        }
        for position in states[index].cell.indices {
          states[index].cell[position] = Float(
            bitPattern: try reader.integer(UInt32.self, "cell state"))
        }
      }
      guard reader.remaining == 0 else { throw mismatch("bytes follow the saved state") }
      state = states
      self.progress = progress
    } catch {
      throw mismatch(error.reason)
    }
  }
}
