/// What was taken for granted, and what belongs to no module.
struct NotesSection {
  var data: ReportData

  var section: Section {
    var content: [Markup] = []
    if let fault = data.fault {
      content.append(
        .paragraph(
          """
          The recurrent modules alone are shown, because it is open what stands before and behind \
          them: 
          """, .words(fault, "fault")))
    }
    if !data.assumed.isEmpty {
      content.append(.paragraph("Assumed, because nothing says it:"))
      content.append(
        list(
          data.assumed.enumerated().map { index, assumed in
            .group([
              .words(assumed.option, "assumed.\(index).option"), " = ",
              .words(assumed.value, "assumed.\(index).value"),
              assumed.option == "dtype" ? ": the float32 runtime narrows float64 weights" : "",
            ])
          }))
    }
    add("Tensors that belong to no module", data.leftOver, "left_over", to: &content)
    add("What the file holds besides", data.ignored, "ignored", to: &content)
    if content.isEmpty {
      content.append(
        .paragraph("Nothing was taken for granted, and every tensor belongs to a module."))
    }
    return Section(id: "notes", title: "Notes", content: content)
  }

  private func add(_ title: String, _ names: [String], _ key: String, to content: inout [Markup]) {
    guard !names.isEmpty else { return }
    content.append(
      .details(
        .text(title), isOpen: names.count <= 8,
        [list(names.enumerated().map { .name($1, "\(key).\($0)") })]))
  }

  private func list(_ items: [Markup]) -> Markup {
    Markup("ul", [:], items.map { Markup("li", [:], [$0]) })
  }
}
