// swift-tools-version: 6.2

import PackageDescription

/// `tools/test` and `tools/lint` build with warnings as errors; whoever depends on this package does not.
let isStrict = Context.environment["STRATA_STRICT"] != nil

/// Every Swift target: every unsafe use is marked, and no C type or dependency can leak into a public
/// interface.
let strict: [SwiftSetting] =
  [
    .strictMemorySafety(),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("ExistentialAny"),
  ] + (isStrict ? [.treatAllWarnings(as: .error)] : [])

let package = Package(
  name: "strata",
  platforms: [.macOS(.v15), .iOS(.v18), .tvOS(.v18), .visionOS(.v2)],
  products: [
    .library(name: "Checkpoints", targets: ["Checkpoints"]),
    .library(name: "CheckpointsHDF5", targets: ["CheckpointsHDF5"]),
    .library(name: "RecurrentNetworks", targets: ["RecurrentNetworks"]),
    .executable(name: "strata", targets: ["strata"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
    // SHA-256 for the provenance that `convert` writes; the libraries do without.
    .package(url: "https://github.com/apple/swift-crypto", "3.12.3"..<"5.0.0"),
  ],
  targets: [
    // The system's zlib: CRC-32 and deflate.
    .systemLibrary(
      name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"]), .brew(["zlib"])]),
    // Where libhdf5 stands, except on Linux: there it is loaded when it is first needed, not linked.
    .systemLibrary(name: "CHDF5System", pkgConfig: "hdf5", providers: [.brew(["hdf5"])]),
    // libhdf5 as Swift sees it.
    .target(
      name: "CHDF5",
      dependencies: [.target(name: "CHDF5System", condition: .when(platforms: [.macOS]))]),
    // Renaming without replacing, reserving and syncing, as Swift's modules of the C libraries lack it.
    .target(name: "CFileSystem"),
    .target(
      name: "CRecurrentKernels",
      linkerSettings: [.linkedLibrary("m", .when(platforms: [.linux, .android]))]),

    // Processes that may do nothing but read one file, for files that are not to be trusted.
    .target(name: "CIsolation"),

    .target(
      name: "Checkpoints", dependencies: ["CZlib", "CFileSystem"], swiftSettings: strict),
    .target(
      name: "CheckpointsHDF5", dependencies: ["Checkpoints", "CHDF5", "CIsolation"],
      swiftSettings: strict),
    .target(
      name: "RecurrentNetworks", dependencies: ["Checkpoints", "CRecurrentKernels"],
      swiftSettings: strict),
    .executableTarget(
      name: "strata",
      dependencies: [
        "Checkpoints", "CheckpointsHDF5", "RecurrentNetworks",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "Crypto", package: "swift-crypto"),
      ],
      swiftSettings: strict),

    // What `tools/trust.d` asks about files by the thousand.
    .executableTarget(
      name: "CheckpointProbe", dependencies: ["Checkpoints", "CheckpointsHDF5"],
      path: "tools/probe",
      swiftSettings: strict),

    // What several test targets need: fixtures, temporary directories, seeded generators.
    .target(
      name: "TestSupport", dependencies: ["Checkpoints"], path: "Tests/TestSupport",
      swiftSettings: strict),
    .testTarget(
      name: "CheckpointsTests", dependencies: ["Checkpoints", "TestSupport"],
      swiftSettings: strict),
    // A helper that does what none should, for the process that must not believe it.
    .executableTarget(
      name: "hostile-reader", dependencies: ["CIsolation"], path: "Tests/HostileReader"),
    .testTarget(
      name: "CheckpointsHDF5Tests",
      dependencies: [
        "Checkpoints", "CheckpointsHDF5", "CIsolation", "TestSupport", "strata", "hostile-reader",
      ],
      swiftSettings: strict),
    // Counts calls of malloc and its kin, for the promise that running allocates nothing.
    .target(name: "CAllocationCounter", path: "Tests/CAllocationCounter"),
    .testTarget(
      name: "RecurrentNetworksTests",
      dependencies: [
        "RecurrentNetworks", "CRecurrentKernels", "Checkpoints", "CheckpointsHDF5", "TestSupport",
        "CAllocationCounter",
      ],
      swiftSettings: strict),
    .testTarget(
      name: "CommandTests",
      dependencies: [
        "strata", "Checkpoints", "CheckpointsHDF5", "RecurrentNetworks", "TestSupport",
      ],
      swiftSettings: strict),
  ]
)
