"""What a report has to be, looked up in the page as the browser shows it."""

import math
import re

# What the page holds, as data.
INVENTORY = """(() => {
  const text = node => node.textContent;
  const numbers = [...document.querySelectorAll('[data-key]:not(svg)')].map(e => ({
    key: e.dataset.key, text: text(e),
    value: e.getAttribute('value') ?? e.dataset.value ?? null}));
  const figures = [...document.querySelectorAll('svg[data-figure]')].map(e => {
    const opened = e.closest('details:not([open])');
    if (opened) opened.open = true;
    const box = e.getBoundingClientRect();
    if (opened) opened.open = false;
    return {
      kind: e.dataset.figure, key: e.dataset.key, role: e.getAttribute('role'),
      title: text(e.querySelector('title')), description: text(e.querySelector('desc')),
      labelled: e.getAttribute('aria-labelledby').split(' ').every(
        id => e.contains(document.getElementById(id))),
      width: box.width, height: box.height, viewBox: e.getAttribute('viewBox'),
      paths: [...e.querySelectorAll('path')].map(p => [p.getAttribute('class'),
        p.getAttribute('d')])};
  });
  const plain = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node; node = walker.nextNode();) {
    const own = node.parentElement.closest('[data-key]:not(svg), code, title, desc');
    if (!own) plain.push(node.nodeValue);
  }
  const ids = [...document.querySelectorAll('[id]')].map(e => e.id);
  return {numbers, figures, plain,
    doubleIds: ids.filter((id, at) => ids.indexOf(id) !== at),
    landmarks: ['header', 'nav', 'main', 'footer'].filter(n => !document.querySelector(n)),
    headings: [...document.querySelectorAll('h1,h2,h3,h4')].map(e => +e.tagName[1]),
    tables: [...document.querySelectorAll('table')].map(t => !!t.caption
      && [...t.querySelectorAll('th')].every(h => ['row', 'col'].includes(h.scope))),
    scrolled: [...document.querySelectorAll('.scroll')].every(
      e => e.tabIndex === 0 && e.getAttribute('aria-label')),
    scripts: document.querySelectorAll('script, img, iframe, link, object, embed').length,
    language: document.documentElement.lang,
    policy: document.querySelector('meta[http-equiv="Content-Security-Policy"]').content};
})()"""

# The widths of the page and the window, and what sticks out.
OVERFLOW = """(() => {
  const width = document.documentElement.clientWidth;
  const wide = [...document.querySelectorAll('body *')].filter(e => !e.closest('.scroll')
    && !e.closest('.skip') && e.getBoundingClientRect().right > width + 0.5);
  return {page: document.documentElement.scrollWidth, width,
    wide: wide.slice(0, 5).map(e => e.tagName + '.' + e.className)};
})()"""

# Whether the unrolled network stands beside the stacked one, row by row.
BESIDE = """[...document.querySelectorAll('.network')].every(n => {
  const [one, other] = [...n.querySelectorAll('svg')].map(e => e.getBoundingClientRect());
  return Math.abs(one.top - other.top) < 1 && other.left > one.right;
})"""

# Text whose colour is too near to what it stands on (WCAG 2, AA: 4.5).
CONTRAST = """(() => {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const rgb = color => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1); return [...canvas.getImageData(0, 0, 1, 1).data]; };
  const light = ([r, g, b]) => [r, g, b].map(c => c / 255).map(
    c => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, at) => sum + c * [0.2126, 0.7152, 0.0722][at], 0);
  const ratio = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  const ground = light(rgb(getComputedStyle(document.body).backgroundColor));
  const style = getComputedStyle(document.documentElement);
  const low = [];
  for (const e of document.querySelectorAll('body *:not(svg *)')) {
    if (![...e.childNodes].some(n => n.nodeType === 3 && n.nodeValue.trim())) continue;
    const found = ratio(light(rgb(getComputedStyle(e).color)), ground);
    if (found < 4.5) low.push([e.tagName, e.className, found]);
  }
  for (const e of document.querySelectorAll('svg text')) {
    const ink = light(rgb(getComputedStyle(e).fill));
    for (const name of ['--paper', '--panel', '--cell', '--reverse']) {
      const found = ratio(ink, light(rgb(style.getPropertyValue(name))));
      if (found < 4.5) low.push(['text', e.getAttribute('class'), name, found]);
    }
  }
  return low.slice(0, 8);
})()"""


def lookup(data, key):
    """The value at `parity.tensors.0.max_abs`."""
    for part in key.split("."):
        data = data[int(part)] if isinstance(data, list) else data[part]
    return data


def same(shown, value):
    """Whether an attribute is the number of the JSON object."""
    number = float(value)
    return math.isnan(number) if shown == "nan" else float(shown) == number


def display(text):
    """A name as the page shows it: what cannot be seen is spelled out."""
    import unicodedata

    escaped = "".join(
        f"\\u{{{ord(c):X}}}"
        if unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp", "Cs", "Co", "Cn") else c
        for c in text)
    return escaped or "(root)"


def expected_figures(data):
    """Kind and key of every figure that the numbers call for."""
    figures = set()
    for chain in range(len(data["network"]["chains"])):
        figures |= {("stacked", f"network.chains.{chain}"), ("unrolled", f"network.chains.{chain}")}
    for l, layer in enumerate(data["weights"]["layers"]):
        for m, matrix in enumerate(layer["matrices"]):
            for g, gate in enumerate(matrix["gates"]):
                key = f"weights.layers.{l}.matrices.{m}.gates.{g}"
                figures |= {("histogram", key + ".histogram"), ("heat-map", key + ".heat_map")}
                if "singular_values" in gate:
                    figures.add(("spectrum", key + ".singular_values"))
    run = data.get("run")
    if run:
        for index in range(len(run["hidden_states"])):
            figures.add(("hidden-states", f"run.hidden_states.{index}.heat_map"))
        for index in range(len(run["activity"]["gates"])):
            figures.add(("activity", f"run.activity.gates.{index}"))
        seen = set()
        for index, series in enumerate(run["errors"]["series"]):
            place = (series["layer"], series["direction"], series["tensor"].removesuffix("_f64"))
            if place not in seen:
                figures.add(("errors", f"run.errors.series.{index}"))
            seen.add(place)
    return figures


def heat_map_faults(figure, data):
    """Compares the coloured runs with the values, cell by cell."""
    values = lookup(data, figure["key"])["values"]
    owner = lookup(data, figure["key"].split(".gates.")[0] if figure["kind"] == "heat-map"
                   else figure["key"].rsplit(".", 1)[0])
    grid = {}
    for name, path in figure["paths"]:
        for x, y, end in re.findall(r"M(\d+) (\d+)h\d+v1H(\d+)z", path):
            length = int(re.search(rf"M{x} {y}h(\d+)v1H{end}z", path).group(1))
            for column in range(int(x), int(x) + length):
                grid[(int(y), column)] = name
    for y, row in enumerate(values):
        for x, value in enumerate(row):
            number = float(value)
            if math.isnan(number):
                name = "nan"
            else:
                place = number / owner["largest"] * 8 if owner["largest"] else 0
                near = {math.floor(place + 0.5), math.ceil(place - 0.5)}
                names = {"z" if n == 0 else f"{'n' if n < 0 else 'p'}{abs(n)}" for n in near}
                name = grid.get((y, x)) if grid.get((y, x)) in names else sorted(names)[0]
            if grid.get((y, x)) != name:
                return [f"{figure['key']}: cell {y}, {x} is {grid.get((y, x))}, not {name}"]
    return [] if len(grid) == sum(map(len, values)) else [f"{figure['key']}: cells too many"]


def histogram_faults(figure, data):
    """Compares the heights of the bars with the counts."""
    histogram = lookup(data, figure["key"])
    bars = dict(figure["paths"])["bars"]
    drawn = {int(float(x)): 100 - float(top)
             for x, top in re.findall(r"M([\d.]+) 100V([\d.]+)h", bars)}
    faults = []
    for index, count in enumerate(histogram["counts"]):
        height = 100 * count / histogram["most"] if histogram["most"] else 0
        if abs(drawn.get(index, 0) - height) > 0.02:
            faults.append(f"{figure['key']}: bar {index} is {drawn.get(index, 0)}, not {height}")
    return faults


def error_faults(figure, data):
    """Compares the heights of the lines with the errors."""
    errors = data["run"]["errors"]
    first = int(figure["key"].rsplit(".", 1)[1])
    faults = []
    for name, path in figure["paths"]:
        if not name.startswith("line "):
            continue
        reference = name.split(" ")[1]
        series = next(s for s in errors["series"][first:] if s["reference"] == reference)
        drawn = [float(y) for y in re.findall(r"(?:M0 |V)([\d.]+)H", path)]
        span = math.log10(errors["high"] / errors["low"])
        for value, y in zip(series["values"], drawn, strict=True):
            place = 0.0 if value <= errors["low"] else min(
                1.0, math.log10(value / errors["low"]) / span)
            if abs(100 * (1 - place) - y) > 0.02:
                faults.append(f"{figure['key']}: {value} is drawn at {y}")
    return faults


def page_faults(page, data):
    """Everything that is wrong with a page, in words."""
    faults = []
    for entry in page["numbers"]:
        try:
            value = lookup(data, entry["key"])
        except (KeyError, IndexError, TypeError):
            faults.append(f"{entry['key']} is not in --json")
            continue
        if entry["value"] is not None:
            if not same(entry["value"], value):
                faults.append(f"{entry['key']} is {entry['value']}, in --json {value}")
        elif "…" in entry["text"]:
            # A name that is cut where it is too long.
            start, end = entry["text"].split("…", 1)
            if not (display(value).startswith(start) and display(value).endswith(end)):
                faults.append(f"{entry['key']} is {entry['text']!r}, in --json {value!r}")
        elif entry["text"] != display(value):
            faults.append(f"{entry['key']} is {entry['text']!r}, in --json {value!r}")
    found = [(figure["kind"], figure["key"]) for figure in page["figures"]]
    for figure in expected_figures(data) ^ set(found):
        faults.append(f"{figure} is {'missing' if figure not in found else 'too many'}")
    for figure in page["figures"]:
        if not (figure["title"] and figure["description"] and figure["labelled"]
                and figure["role"] == "img" and figure["width"] > 20 and figure["height"] > 5
                and (figure["paths"] or figure["kind"] == "activity")):
            faults.append(f"{figure['kind']} {figure['key']}: empty, or without a title")
        if figure["kind"] in ("heat-map", "hidden-states"):
            faults += heat_map_faults(figure, data)
        elif figure["kind"] == "histogram":
            faults += histogram_faults(figure, data)
        elif figure["kind"] == "errors":
            faults += error_faults(figure, data)
    for text in page["plain"]:
        if re.search(r"\d", text.replace("float32", "").replace("float64", "")):
            faults.append(f"a number that --json does not have: {text!r}")
    if "default-src 'none'" not in page["policy"] or "script-src" in page["policy"]:
        faults.append(f"policy: {page['policy']}")
    levels = page["headings"]
    if levels.count(1) != 1 or any(b > a + 1 for a, b in zip(levels, levels[1:])):
        faults.append(f"headings: {levels}")
    for what, value in (("ids twice", page["doubleIds"]), ("landmarks", page["landmarks"]),
                        ("tables", not all(page["tables"])), ("boxes", not page["scrolled"]),
                        ("scripts or images", page["scripts"]),
                        ("language", page["language"] != "en")):
        if value:
            faults.append(f"{what}: {value}")
    return faults
