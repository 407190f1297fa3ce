"""Tables that scripts write into pages, between two markers."""


def replace_table(path, name, text):
    """Puts text between the markers `<!-- NAME: begin, by … -->` and `<!-- NAME: end -->` of a
    page."""
    with open(path, encoding="utf-8") as file:
        page = file.read()
    begin, end = f"<!-- {name}: begin", f"<!-- {name}: end -->"
    if page.count(begin) != 1 or page.count(end) != 1:
        raise SystemExit(f"{path}: the markers of {name} are missing")
    head, rest = page.split(begin)
    marker, rest = rest.split("\n", 1)
    tail = rest.split(end)[1]
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"{head}{begin}{marker}\n{text}\n{end}{tail}")
