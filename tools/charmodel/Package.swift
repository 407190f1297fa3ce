// swift-tools-version: 6.2

import PackageDescription

let package = Package(
  name: "charmodel",
  platforms: [.macOS(.v15)],
  dependencies: [
    .package(name: "strata", path: "../..")
  ],
  targets: [
    .executableTarget(
      name: "charmodel",
      dependencies: [
        .product(name: "Checkpoints", package: "strata"),
        .product(name: "RecurrentNetworks", package: "strata"),
      ],
      swiftSettings: [.swiftLanguageMode(.v6)])
  ]
)
