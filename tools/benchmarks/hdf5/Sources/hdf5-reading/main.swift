import Checkpoints
import CheckpointsHDF5
import Foundation

/// Reads a file whole, every tensor into memory of its own, for each line of standard input: `here` in
/// this process, `apart` by a helper. Answers with the bytes and the seconds.

// The helper is this program once more.
HDF5Helper.runIfRequested()

let path = CommandLine.arguments.dropFirst().first ?? ""
while let line = readLine() {
  let format = HDF5Format(isolated: line == "apart")
  let begin = ContinuousClock.now
  let contents = try format.open(ByteSource(contentsOf: path))
  let tensors = try contents.tensors.map { try $0.read() }
  let seconds = (ContinuousClock.now - begin) / .seconds(1)
  let count = tensors.reduce(0) { $0 + $1.bytes.count }
  FileHandle.standardOutput.write(Data("\(count) \(seconds)\n".utf8))
}
