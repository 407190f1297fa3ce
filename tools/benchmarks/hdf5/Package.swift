// swift-tools-version: 6.2

import PackageDescription

let package = Package(
  name: "hdf5-reading",
  platforms: [.macOS(.v15)],
  dependencies: [
    .package(name: "strata", path: "../../..")
  ],
  targets: [
    .executableTarget(
      name: "hdf5-reading",
      dependencies: [
        .product(name: "Checkpoints", package: "strata"),
        .product(name: "CheckpointsHDF5", package: "strata"),
      ],
      swiftSettings: [.swiftLanguageMode(.v6)])
  ]
)
