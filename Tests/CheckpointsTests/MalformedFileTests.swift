import Checkpoints
import Foundation
import TestSupport
import Testing

/// Every row of the table of hostile inputs, through the library: the code that is announced, the
/// file's name in it, at once, and nothing run.
@Suite struct MalformedFileTests {
  /// What the pickles would leave behind, were they run.
  static let marker = "strata-executed-a-pickle"

  /// The files of the formats that this module knows.
  static let files = MalformedFile.all.filter { $0.format != "hdf5" }

  @Test func filesAreThere() {
    let files = Self.files
    #expect(files.filter { !$0.isAccepted }.count >= 650)
    let rows = Set(files.map(\.row))
    for (letter, count) in [("N", 23), ("P", 19), ("S", 11), ("Z", 9)] {
      for number in 1...count {
        #expect(rows.contains("\(letter)\(number)"), "no file for the row \(letter)\(number)")
      }
    }
    for file in files {
      let what = file.name.split(separator: "/")[1]
      #expect(what.prefix { $0 != "." } == file.code, "\(file)")
    }
  }

  @Test(arguments: files.filter { $0.fault == .file || $0.fault == .tensor })
  func refused(file: MalformedFile) throws {
    let time = try processorTime { try refuse(file) }
    #expect(time < .seconds(1) * Sanitizer.slowness, "\(file)")
    #expect(!FileManager.default.fileExists(atPath: Self.marker))
  }

  private func refuse(_ file: MalformedFile) throws {
    do throws(CheckpointError) {
      let reader = try CheckpointReader(contentsOf: file.path)
      #expect(file.fault == .tensor, "\(file) was opened")
      #expect(reader.format == file.format)
      // The tensors that are not at fault can be read.
      for tensor in reader.tensors where file.tensor.map({ $0 != tensor.name }) ?? false {
        _ = try tensor.read()
      }
      for tensor in reader.tensors where file.tensor.map({ $0 == tensor.name }) ?? true {
        _ = try tensor.read()
      }
      Issue.record("\(file) was read")
    } catch {
      #expect(error.code.rawValue == file.code, "\(file): \(error)")
      #expect(error.file?.hasPrefix(Fixtures.path("malformed/")) == true, "\(file): \(error)")
      #expect(!error.reason.isEmpty)
      if let tensor = file.tensor { #expect(error.tensor == tensor, "\(file): \(error)") }
    }
  }

  /// What is wrong with a model, or with numbers where they have to be finite, keeps no tensor from
  /// being read.
  @Test(arguments: files.filter { $0.fault == .model || $0.fault == .nonfinite })
  func read(file: MalformedFile) throws {
    let checkpoint = try Checkpoint(contentsOf: file.path)
    #expect(
      file.fault == .model ? checkpoint.modelDescription != nil : !checkpoint.stateDict.isEmpty)
  }

  @Test(arguments: files.filter(\.isAccepted))
  func accepted(file: MalformedFile) throws {
    let reader = try CheckpointReader(contentsOf: file.path)
    #expect(reader.format == file.format)
    #expect(Set(reader.tensors.map(\.name)) == Set(file.tensors.keys), "\(file)")
    for stored in reader.tensors {
      let tensor = try stored.read()
      let expected = try #require(file.tensors[stored.name])
      #expect(tensor.dtype.rawValue == expected.dtype, "\(file): \(stored.name)")
      #expect(tensor.shape.dimensions == expected.shape, "\(file): \(stored.name)")
      #expect(tensor.bytes.array == expected.bytes, "\(file): \(stored.name)")
    }
  }
}
