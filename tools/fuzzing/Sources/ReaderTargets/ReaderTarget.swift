import Checkpoints
import CheckpointsHDF5
import FuzzSupport

/// The readers.
enum ReaderTarget: String, CaseIterable {
  case strata
  case safetensors
  /// An index of shards, beside files that it may name.
  case index
  case npz
  case npy
  /// Zip archives of `torch.save`.
  case pytorch
  /// TorchScript archives, whose code is searched for options.
  case torchscript
  /// Archives of `torch.export`.
  case exported
  /// Pickles of `torch.save` before 1.6, and tar files before 0.1.10.
  case legacy
  /// The pickle machine: the input becomes the pickle of an archive.
  case pickle
  /// libhdf5 behind our guards. What it does itself is not ours to mend: tools/fuzz tells the two apart.
  case hdf5
  /// What a process that reads HDF5 files apart might send.
  case hdf5Answers = "hdf5-answers"

  /// Does with an input what a user would do with a file.
  func run(_ input: [UInt8]) {
    do throws(CheckpointError) {
      switch self {
      case .index: try run(input, from: ShardDirectory.shared.index(input))
      default: try run(input, from: .input(input))
      }
    } catch {
      fatalError("an input cannot be given: \(error)")
    }
  }

  private func run(_ input: [UInt8], from source: ByteSource) {
    switch self {
    case .strata: Reading.run(StrataFormat(), source, planted: .dtypeTable)
    case .safetensors: Reading.run(SafetensorsFormat(), source, planted: .name)
    case .index:
      Reading.run(SafetensorsFormat(), source, planted: .name)
      Reading.run(PyTorchFormat(), source)
    case .npz:
      Reading.run(NPZFormat(), source, planted: .dimension)
      Reading.run(NPZFormat(), source, options: ReadOptions(npzVoid2: .bf16))
    case .npy: Reading.run(NPYFormat(), source, planted: .dimension)
    case .pytorch, .torchscript, .exported, .legacy:
      Reading.run(PyTorchFormat(), source, planted: .name)
    case .pickle:
      let archive = ZipImage(pickle: input).bytes
      Reading.run(PyTorchFormat(), ByteSource(Bytes(archive)), planted: .name)
    case .hdf5: Reading.run(HDF5Format(), source)
    case .hdf5Answers: HDF5Answers.run(input)
    }
  }

  /// Changes an input so that no checksum stops it, most of the time.
  func mutated(_ input: [UInt8], largest: Int, using dice: inout Dice) -> [UInt8] {
    switch self {
    case .strata: StrataImage.mutated(input, largest: largest, using: &dice)
    case .npz, .pytorch, .torchscript, .exported:
      ZipImage.mutated(input, largest: largest, using: &dice)
    case .safetensors: SafetensorsImage.mutated(input, largest: largest, using: &dice)
    case .hdf5Answers: HDF5Answers.mutated(input, largest: largest, using: &dice)
    case .index, .npy, .legacy, .pickle, .hdf5: input.mutated(largest: largest)
    }
  }
}
