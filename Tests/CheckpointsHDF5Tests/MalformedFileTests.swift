import Checkpoints
import CheckpointsHDF5
import Foundation
import TestSupport
import Testing

/// The rows H1 to H22 of the table of hostile inputs, in this process and apart.
@Suite struct MalformedFileTests {
  private static let files = MalformedFile.all.filter { $0.format == "hdf5" }

  @Test func filesAreThere() {
    #expect(Self.files.filter { !$0.isAccepted }.count >= 130)
    let rows = Set(Self.files.map(\.row))
    for number in 1...22 {
      #expect(rows.contains("H\(number)"), "no file for the row H\(number)")
    }
    for file in Self.files {
      let what = file.name.split(separator: "/")[1]
      #expect(what.prefix { $0 != "." } == file.code, "\(file)")
    }
  }

  @Test(arguments: files.filter { !$0.isAccepted }, Place.allCases)
  func refused(file: MalformedFile, place: Place) throws {
    // What the process apart takes is limited by itself.
    let time = try processorTime { try refuse(file, place) }
    #expect(time < .seconds(1) * Sanitizer.slowness, "\(file)")
  }

  private func refuse(_ file: MalformedFile, _ place: Place) throws {
    do throws(CheckpointError) {
      let contents = try place.format.open(ByteSource(contentsOf: file.path))
      #expect(file.fault == .tensor, "\(file) was opened")
      for tensor in contents.tensors where tensor.name != file.tensor { _ = try tensor.read() }
      for tensor in contents.tensors where tensor.name == file.tensor { _ = try tensor.read() }
      Issue.record("\(file) was read")
    } catch {
      #expect(error.code.rawValue == file.code, "\(file): \(error)")
      #expect(error.file == file.path, "\(file): \(error)")
      #expect(!error.reason.isEmpty && !error.reason.contains("\n"), "\(file): \(error)")
      if let tensor = file.tensor { #expect(error.tensor == tensor, "\(file): \(error)") }
    }
  }

  @Test(arguments: files.filter(\.isAccepted), Place.allCases)
  func accepted(file: MalformedFile, place: Place) throws {
    let contents = try place.format.open(ByteSource(contentsOf: file.path))
    #expect(Set(contents.tensors.map(\.name)) == Set(file.tensors.keys), "\(file)")
    for stored in contents.tensors {
      let tensor = try stored.read()
      let expected = try #require(file.tensors[stored.name])
      #expect(tensor.dtype.rawValue == expected.dtype, "\(file): \(stored.name)")
      #expect(tensor.shape.dimensions == expected.shape, "\(file): \(stored.name)")
      #expect(tensor.bytes.array == expected.bytes, "\(file): \(stored.name)")
    }
  }
}
