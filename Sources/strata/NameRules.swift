import ArgumentParser
import Checkpoints

/// The options that choose tensors and rename them.
struct NameOptions: ParsableArguments {
  @Option(help: ArgumentHelp("Take the tensors whose names match.", valueName: "regex"))
  var include: [String] = []

  @Option(help: ArgumentHelp("Leave out the tensors whose names match.", valueName: "regex"))
  var exclude: [String] = []

  @Option(
    help: ArgumentHelp("Take the tensors whose names begin so, and remove it.", valueName: "p"))
  var prefix: String?

  @Option(
    help: ArgumentHelp(
      "Rename: every match of the expression is replaced. $1 and so on stand for its groups, ${name} "
        + "for a named one, $0 for the match, $$ for a dollar.",
      valueName: "regex=template"))
  var rename: [String] = []
}

/// Rules that give a tensor of the input its name in the output, or none.
///
/// In this order: include, exclude, prefix, the wrappers `module.` and `_orig_mod.`, renamings.
struct NameRules {
  private struct Rule {
    /// As it was written.
    let text: String
    let pattern: Regex<AnyRegexOutput>
    var template = NameTemplate()
    var hasMatched = false

    init(_ option: String, _ argument: String, _ pattern: String) throws {
      text = "\(option) '\(argument)'"
      do {
        self.pattern = try Regex(pattern)
      } catch {
        throw ValidationError("\(option) '\(pattern)': not a regular expression (\(error))")
      }
    }

    mutating func matches(_ name: String) -> Bool {
      let isMatch = name.firstMatch(of: pattern) != nil
      hasMatched = hasMatched || isMatch
      return isMatch
    }
  }

  private let prefix: String?
  private var include: [Rule]
  private var exclude: [Rule]
  private var renamings: [Rule]

  /// - Throws: `ValidationError` for a bad regular expression or renaming.
  init(_ options: NameOptions) throws {
    prefix = options.prefix
    include = try options.include.map { try Rule("--include", $0, $0) }
    exclude = try options.exclude.map { try Rule("--exclude", $0, $0) }
    renamings = try options.rename.map { text in
      // Names hold no "=", but an expression may.
      guard let equals = text.lastIndex(of: "="), equals > text.startIndex else {
        throw ValidationError("--rename '\(text)': REGEX=TEMPLATE was expected")
      }
      var rule = try Rule("--rename", text, String(text[..<equals]))
      rule.template = NameTemplate(text[text.index(after: equals)...])
      return rule
    }
  }

  /// Whether the rules keep every name as it is, wrappers apart.
  var isIdentity: Bool {
    prefix == nil && include.isEmpty && exclude.isEmpty && renamings.isEmpty
  }

  /// The expressions that no name has matched so far, as they were written.
  var unmatched: [String] {
    (include + exclude + renamings).filter { !$0.hasMatched }.map(\.text)
  }

  /// The name in the output, or nil when the tensor is left out.
  /// - Throws: `ValidationError` for a template with a group that its expression does not have.
  mutating func name(for source: String) throws -> String? {
    var name = source
    // Every expression sees every name, for the sake of `unmatched`.
    var isIncluded = include.isEmpty
    for index in include.indices where include[index].matches(name) { isIncluded = true }
    guard isIncluded else { return nil }
    var isExcluded = false
    for index in exclude.indices where exclude[index].matches(name) { isExcluded = true }
    guard !isExcluded else { return nil }
    if let prefix {
      guard name.hasPrefix(prefix) else { return nil }
      name = String(name.dropFirst(prefix.count))
    }
    name = Self.unwrapped(name)
    for index in renamings.indices where renamings[index].matches(name) {
      let rule = renamings[index]
      do {
        name = try name.replacing(rule.pattern) { try rule.template.text(for: $0.output) }
      } catch let error as ValidationError {
        throw ValidationError("\(rule.text): \(error.message)")
      }
    }
    return name
  }

  /// The name without wrappers, however many and in whatever order.
  ///
  /// DataParallel puts `module.` before every name. torch.compile puts `_orig_mod.` before the names of
  /// whatever module it compiled, also of one inside; nobody calls a module so.
  static func unwrapped(_ name: String) -> String {
    guard name.contains("module.") || name.contains("_orig_mod.") else { return name }
    let parts = name.split(separator: ".", omittingEmptySubsequences: false)
    let inner = parts.dropLast().filter { $0 != "_orig_mod" }.drop { $0 == "module" }
    return (inner + parts.suffix(1)).joined(separator: ".")
  }
}

/// What a match is replaced with.
private struct NameTemplate {
  private enum Part {
    case text(String)
    /// The digits of a group, of which as many count as the expression has groups for.
    case number(String)
    case name(String)
  }

  private var parts: [Part] = []

  init() {}

  init(_ template: Substring) {
    var rest = template
    while let character = rest.popFirst() {
      guard character == "$", let next = rest.first else {
        parts.append(.text(String(character)))
        continue
      }
      let digits = rest.prefix { "0"..."9" ~= $0 }
      if !digits.isEmpty {
        parts.append(.number(String(digits)))
        rest = rest.dropFirst(digits.count)
      } else if next == "{", let end = rest.firstIndex(of: "}") {
        parts.append(.name(String(rest[..<end].dropFirst())))
        rest = rest[end...].dropFirst()
      } else {
        parts.append(.text("$"))
        if next == "$" { rest.removeFirst() }
      }
    }
  }

  /// - Throws: `ValidationError` for a group that there is not.
  func text(for groups: AnyRegexOutput) throws -> String {
    var text = ""
    for part in parts {
      switch part {
      case .text(let own):
        text += own
      case .number(let digits):
        // $10 is the tenth group, or the first one and a zero where there are fewer.
        guard
          let length = (1...digits.count).last(where: {
            Int(digits.prefix($0)).map { $0 < groups.count } ?? false
          }), let number = Int(digits.prefix(length))
        else {
          throw ValidationError("$\(digits): the expression has \(groups.count - 1) groups")
        }
        text += groups[number].substring ?? ""
        text += digits.dropFirst(length)
      case .name(let name):
        let isNumber = Int(name).flatMap { groups.indices.contains($0) ? $0 : nil }
        guard let group = isNumber ?? groups.firstIndex(where: { $0.name == name }) else {
          throw ValidationError("${\(name)}: the expression has no such group")
        }
        text += groups[group].substring ?? ""
      }
    }
    return text
  }
}
