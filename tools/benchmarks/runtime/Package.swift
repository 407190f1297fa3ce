// swift-tools-version: 6.2

import PackageDescription

let package = Package(
  name: "runtime-bench",
  platforms: [.macOS(.v15)],
  dependencies: [
    .package(name: "strata", path: "../../..")
  ],
  targets: [
    // What the processor can do at most: arithmetic, and reading of memory.
    .target(name: "CFloor"),
    .executableTarget(
      name: "runtime-bench",
      dependencies: ["CFloor", .product(name: "RecurrentNetworks", package: "strata")],
      swiftSettings: [.swiftLanguageMode(.v6)]),
  ]
)
