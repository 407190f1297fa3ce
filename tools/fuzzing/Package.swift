// swift-tools-version: 6.2

import PackageDescription

// Built by tools/fuzz with libFuzzer and sanitizers, the readers of the package above with it.
let package = Package(
  name: "fuzzing",
  platforms: [.macOS(.v15)],
  dependencies: [
    .package(name: "strata", path: "../..")
  ],
  targets: [
    // What libFuzzer offers, and zlib's checksum.
    .target(name: "CFuzzer", linkerSettings: [.linkedLibrary("z")]),
    // Planted bugs, and mutations that put lengths and checksums right.
    .target(
      name: "FuzzSupport",
      dependencies: ["CFuzzer", .product(name: "Checkpoints", package: "strata")],
      swiftSettings: [.swiftLanguageMode(.v6)]),
    .target(
      name: "ReaderTargets",
      dependencies: [
        "FuzzSupport",
        .product(name: "Checkpoints", package: "strata"),
        .product(name: "CheckpointsHDF5", package: "strata"),
      ],
      swiftSettings: [.swiftLanguageMode(.v6)]),
    .target(
      name: "VerifyTarget",
      dependencies: [
        "FuzzSupport",
        .product(name: "Checkpoints", package: "strata"),
        .product(name: "RecurrentNetworks", package: "strata"),
      ],
      swiftSettings: [.swiftLanguageMode(.v6)]),
    // libFuzzer's own main, which calls the targets.
    .executableTarget(name: "fuzz-readers", dependencies: ["ReaderTargets"]),
    .executableTarget(name: "fuzz-verify", dependencies: ["VerifyTarget"]),
  ]
)
