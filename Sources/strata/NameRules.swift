import ArgumentParser
import Checkpoints

/// The options that choose tensors and rename them.
struct NameOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Take the tensors below this path of a nested checkpoint.", valueName: "path"))
  var key: String?

  @Option(help: ArgumentHelp("Take the tensors whose names match.", valueName: "regex"))
  var include: [String] = []

  @Option(help: ArgumentHelp("Leave out the tensors whose names match.", valueName: "regex"))
  var exclude: [String] = []

  @Option(
    help: ArgumentHelp("Take the tensors whose names begin so, and remove it.", valueName: "p"))
  var prefix: String?

  @Option(
    help: ArgumentHelp(
      "Rename: every match of the expression is replaced, $1 to $9 standing for its groups.",
      valueName: "regex=template"))
  var rename: [String] = []
}

/// Rules that give a tensor of the input its name in the output, or none.
///
/// In this order: key, include, exclude, prefix, the wrappers `module.` and `_orig_mod.`, renamings.
struct NameRules {
  private let key: String?
  private let prefix: String?
  private let include: [Regex<AnyRegexOutput>]
  private let exclude: [Regex<AnyRegexOutput>]
  private let renamings: [(pattern: Regex<AnyRegexOutput>, template: String)]

  /// What DataParallel and torch.compile put before every name.
  private static let wrappers = ["module.", "_orig_mod."]

  /// - Throws: `ValidationError` for a bad regular expression or renaming.
  init(_ options: NameOptions) throws {
    key = options.key.map { $0.hasSuffix(".") ? $0 : $0 + "." }
    prefix = options.prefix
    include = try options.include.map { try Self.regex($0, "--include") }
    exclude = try options.exclude.map { try Self.regex($0, "--exclude") }
    renamings = try options.rename.map { text in
      // Names hold no "=", but an expression may.
      guard let equals = text.lastIndex(of: "="), equals > text.startIndex else {
        throw ValidationError("--rename '\(text)': REGEX=TEMPLATE was expected")
      }
      return (
        try Self.regex(String(text[..<equals]), "--rename"),
        String(text[text.index(after: equals)...])
      )
    }
  }

  /// Whether the rules keep every name as it is, wrappers apart.
  var isIdentity: Bool {
    key == nil && prefix == nil && include.isEmpty && exclude.isEmpty && renamings.isEmpty
  }

  private static func regex(_ pattern: String, _ option: String) throws
    -> Regex<AnyRegexOutput>
  {
    do {
      return try Regex(pattern)
    } catch {
      throw ValidationError("\(option) '\(pattern)': not a regular expression (\(error))")
    }
  }

  /// The name in the output, or nil when the tensor is left out.
  func name(for source: String) -> String? {
    var name = source
    if let key {
      guard name.hasPrefix(key) else { return nil }
      name = String(name.dropFirst(key.count))
    }
    if !include.isEmpty, !include.contains(where: { name.firstMatch(of: $0) != nil }) { return nil }
    if exclude.contains(where: { name.firstMatch(of: $0) != nil }) { return nil }
    if let prefix {
      guard name.hasPrefix(prefix) else { return nil }
      name = String(name.dropFirst(prefix.count))
    }
    name = Self.unwrapped(name)
    for (pattern, template) in renamings {
      name = name.replacing(pattern) { match in Self.expand(template, match.output) }
    }
    return name
  }

  /// The name without wrappers, however many and in whatever order.
  static func unwrapped(_ name: String) -> String {
    var name = name[...]
    while let wrapper = wrappers.first(where: { name.hasPrefix($0) }) {
      name = name.dropFirst(wrapper.count)
    }
    return String(name)
  }

  private static func expand(_ template: String, _ groups: AnyRegexOutput) -> String {
    var text = ""
    var rest = template[...]
    while let character = rest.popFirst() {
      if character == "$", let digit = rest.first?.wholeNumberValue {
        rest.removeFirst()
        if digit < groups.count { text += groups[digit].substring ?? "" }
      } else {
        text.append(character)
      }
    }
    return text
  }
}
