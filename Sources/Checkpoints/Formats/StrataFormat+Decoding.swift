extension StrataFormat {
  /// The most decoded bytes that a chunk may have, so that reading stays bounded.
  static let largestChunkSize = 1 << 24

  /// The bytes of one part, checked and decoded chunk by chunk.
  struct EncodedBytes: TensorBytes {
    let source: ByteSource
    let part: Part
    let encoding: Encoding
    let elementSize: Int
    /// Decoded bytes in all.
    let count: Int
    /// Decoded bytes of every chunk but the last.
    let chunkSize: Int

    /// Whether the chunks can give the bytes of the shape.
    /// - Throws: `sizeMismatch`, `expansionLimit`.
    func check(_ shape: Shape, _ dtype: DType) throws(CheckpointError) {
      let chunks = (count + chunkSize - 1) / chunkSize
      guard part.chunks.count == chunks else {
        throw CheckpointError(
          .sizeMismatch,
          "\(part.chunks.count) chunks, but \(dtype.rawValue) \(shape) takes \(chunks)")
      }
      for (index, chunk) in part.chunks.enumerated() {
        let decoded = decodedRange(index).count
        switch encoding {
        case .raw:
          guard chunk.count == decoded else {
            throw CheckpointError(
              .sizeMismatch,
              "chunk \(index) has \(chunk.count) bytes, but \(dtype.rawValue) \(shape) needs \(decoded)"
            )
          }
        case .shuffledDeflate:
          let limit = chunk.count * Deflate.largestExpansion + Deflate.expansionAllowance
          guard decoded <= limit else {
            throw CheckpointError(
              .expansionLimit,
              "chunk \(index) announces \(decoded) bytes, \(chunk.count) stored bytes give at most \(limit)"
            )
          }
        }
      }
    }

    func bytes(in range: Range<Int>) throws(CheckpointError) -> Bytes {
      guard !range.isEmpty else { return Bytes([UInt8]()) }
      let chunks = (range.lowerBound / chunkSize)...((range.upperBound - 1) / chunkSize)
      let start = chunks.lowerBound * chunkSize
      let decoded: Bytes
      if encoding == .raw {
        decoded = try part.bytes(chunks, in: source)
      } else if chunks.count == 1 {
        decoded = try self.decoded(chunks.lowerBound)
      } else {
        var pieces: [Bytes] = []
        for index in chunks { pieces.append(try self.decoded(index)) }
        decoded = Bytes(joining: pieces)
      }
      return decoded[(range.lowerBound - start)..<(range.upperBound - start)]
    }

    func verify(count: Int) throws(CheckpointError) {
      for index in part.chunks.indices { _ = try bytes(in: decodedRange(index)) }
    }

    /// Every chunk is read and checked, by as many threads as there are processors.
    func checksum(count: Int) throws(CheckpointError) -> UInt32 {
      let chunks = part.chunks.count
      let threads = min(processorCount, chunks)
      @Sendable func checksums(from first: Int) -> [Result<UInt32, CheckpointError>] {
        stride(from: first, to: chunks, by: threads).map { index in
          do throws(CheckpointError) {
            return .success(try self.checksum(ofChunk: index))
          } catch {
            return .failure(error)
          }
        }
      }
      let others = (1..<max(1, threads)).map { first in
        BackgroundWork { checksums(from: first) }
      }
      let outcomes = [chunks > 0 ? checksums(from: 0) : []] + others.map { $0.value() }
      var whole = CRC32()
      for index in 0..<chunks {
        let (place, thread) = index.quotientAndRemainder(dividingBy: threads)
        whole.append(try outcomes[thread][place].get(), count: decodedRange(index).count)
      }
      return whole.value
    }

    /// The CRC-32 of one chunk's decoded bytes.
    ///
    /// Reading checks a raw chunk against a checksum of the same bytes, which need not be computed twice;
    /// that of the last chunk takes the padding in.
    private func checksum(ofChunk index: Int) throws(CheckpointError) -> UInt32 {
      let bytes = try bytes(in: decodedRange(index))
      let isKnown = encoding == .raw && index < part.chunks.count - 1 && source.checksData
      return isKnown ? part.chunks[index].checksum : CRC32(bytes).value
    }

    private func decodedRange(_ index: Int) -> Range<Int> {
      (index * chunkSize)..<min((index + 1) * chunkSize, count)
    }

    /// The decoded bytes of one chunk.
    private func decoded(_ index: Int) throws(CheckpointError) -> Bytes {
      let stored = try part.bytes(index...index, in: source)
      let shuffled: Bytes
      do {
        shuffled = try Deflate.decompressed(stored, count: decodedRange(index).count)
      } catch {
        throw error.located(offset: part.start(of: index))
      }
      return Deflate.unshuffled(shuffled, elementSize: elementSize)
    }
  }

  /// The bytes of a tensor that this version cannot decode: they can only be checked.
  struct UndecodableBytes: TensorBytes {
    let source: ByteSource
    let parts: [Part]

    func bytes(in range: Range<Int>) throws(CheckpointError) -> Bytes {
      throw CheckpointError(.encodingUnsupported, "the encoding is unknown to this version")
    }

    func verify(count: Int) throws(CheckpointError) {
      for part in parts { try part.verify(in: source) }
    }
  }
}

extension StrataFormat.Part {
  /// Checks every chunk.
  func verify(in source: ByteSource) throws(CheckpointError) {
    for index in chunks.indices { _ = try bytes(index...index, in: source) }
  }

  /// The offset in the file of a chunk.
  func start(of chunk: Int) -> Int {
    chunks[..<chunk].reduce(offset) { $0 + $1.count }
  }

  /// The stored bytes of a run of chunks, each checked, and the padding behind the last one.
  func bytes(
    _ run: ClosedRange<Int>, in source: ByteSource
  ) throws(CheckpointError) -> Bytes {
    let start = start(of: run.lowerBound)
    let count = chunks[run].reduce(0) { $0 + $1.count }
    let isLast = run.upperBound == chunks.count - 1
    let end = isLast ? (start + count).aligned(to: StrataFormat.alignment) : start + count
    let bytes = try source.bytes(in: start..<end)
    guard source.checksData else { return bytes[0..<count] }
    var position = 0
    for index in run {
      let next = index == run.upperBound ? bytes.count : position + chunks[index].count
      guard CRC32(bytes[position..<next]).value == chunks[index].checksum else {
        throw CheckpointError(
          .checksumMismatch, offset: start + position,
          "bytes \(start + position) to \(start + next) do not match their checksum")
      }
      position = next
    }
    guard bytes[count..<bytes.count].array.allSatisfy({ $0 == 0 }) else {
      throw CheckpointError(.hole, offset: start + count, "padding is not zero")
    }
    return bytes[0..<count]
  }
}
