// Numbers as the page shows them.

extension Double {
  /// As `--json` writes it, so that what reads it gets the same bits.
  var exactText: String {
    guard isFinite else { return isNaN ? "nan" : self < 0 ? "-inf" : "inf" }
    return "\(self)"
  }

  /// Three significant digits: `0.312`, `−1.50`, `5.96 × 10⁻⁸`.
  var displayText: String {
    guard isFinite else { return isNaN ? "NaN" : self < 0 ? "−∞" : "∞" }
    // `1.23e-07` has three digits; where its exponent is small they are put into their places.
    let parts = shortText.split(separator: "e")
    var mantissa = String(parts[0].replacing("-", with: "−"))
    let exponent = parts.count > 1 ? Int(parts[1]) ?? 0 : 0
    // Zeros at the end say that there are other digits behind them.
    if Double(shortText) == self, mantissa.contains(".") {
      while mantissa.hasSuffix("0") { mantissa.removeLast() }
      if mantissa.hasSuffix(".") { mantissa.removeLast() }
    }
    switch exponent {
    case -3 ... -1, 1...4: return Self.moved(mantissa, by: exponent)
    case 0: return mantissa
    default: return (mantissa == "1" ? "" : "\(mantissa) × ") + "10\(exponent.superscript)"
    }
  }

  /// A mantissa with its point moved, `1.23` by 2 to `123`.
  private static func moved(_ mantissa: String, by exponent: Int) -> String {
    let sign = mantissa.hasPrefix("−") ? "−" : ""
    let digits = mantissa.filter(\.isNumber)
    guard exponent > 0 else {
      return sign + "0." + String(repeating: "0", count: -exponent - 1) + digits
    }
    let padded = digits + String(repeating: "0", count: max(0, exponent + 1 - digits.count))
    let whole = Int(padded.prefix(exponent + 1)) ?? 0
    let rest = padded.dropFirst(exponent + 1)
    return sign + whole.displayText + (rest.isEmpty ? "" : "." + rest)
  }

  /// A fraction in percent with one digit: `37.5 %`; less than that is said to be less.
  var percentText: String {
    guard isFinite else { return displayText }
    if self > 0, self < 0.0005 { return "< 0.1 %" }
    if self < 1, self > 0.9995 { return "> 99.9 %" }
    if self == 0 || self == 1 { return "\(Int(self * 100)) %" }
    let tenths = Int((self * 1000).rounded())
    return "\(tenths / 10).\(tenths % 10) %"
  }
}

extension Int {
  /// With commas between thousands: `33,280`.
  var displayText: String {
    let digits = Array("\(magnitude)")
    var text = self < 0 ? "−" : ""
    for (index, digit) in digits.enumerated() {
      if index > 0, (digits.count - index) % 3 == 0 { text += "," }
      text.append(digit)
    }
    return text
  }

  /// Raised: `⁻⁸`.
  fileprivate var superscript: String {
    let raised: [Character: Character] = [
      "-": "⁻", "0": "⁰", "1": "¹", "2": "²", "3": "³", "4": "⁴", "5": "⁵", "6": "⁶", "7": "⁷",
      "8": "⁸", "9": "⁹",
    ]
    return String("\(self)".compactMap { raised[$0] })
  }
}
