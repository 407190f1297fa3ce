/// How the page looks: on light and dark ground, on a desk, a phone and on paper.
enum Stylesheet {
  static var markup: Markup { .style(sheet) }

  // Blue and orange differ for every kind of colour blindness, and in lightness too.
  private static let sheet: StaticString = """

    :root {
      color-scheme: light dark;
      --paper: #fdfcfa; --panel: #f5f3ee; --ink: #1b1d22; --muted: #5b5e67; --rule: #dcd8d0;
      --blue: #0a5aa8; --orange: #b4500a; --middle: #efece5; --good: #0b6a4f; --bad: #a5330a;
      --cell: #e3edf8; --cell-edge: #0a5aa8; --reverse: #fbe9da; --reverse-edge: #b4500a;
    }
    @media (prefers-color-scheme: dark) {
      :root {
        --paper: #14161a; --panel: #1c1f25; --ink: #ebe8e2; --muted: #a6a9b2; --rule: #363a43;
        --blue: #74b6ff; --orange: #ffa75c; --middle: #262a31; --good: #62d2a8; --bad: #ff9b78;
        --cell: #1b2d44; --cell-edge: #74b6ff; --reverse: #40291a; --reverse-edge: #ffa75c;
      }
    }
    * { box-sizing: border-box; }
    html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
    body {
      margin: 0 auto; max-width: 74rem; padding: 2.5rem 1.5rem 3rem; background: var(--paper);
      color: var(--ink); font: 1rem/1.55 Inter, system-ui, -apple-system, "Segoe UI", Roboto,
      "Helvetica Neue", Arial, sans-serif; font-variant-numeric: tabular-nums;
      overflow-wrap: break-word;
    }
    code { font: 0.92em/1.4 ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; }
    data { white-space: nowrap; }
    sub { line-height: 0; }
    p { max-width: 46rem; margin: 0.75rem 0; }
    a { color: var(--blue); text-underline-offset: 0.2em; }
    :focus-visible { outline: 3px solid var(--blue); outline-offset: 3px; border-radius: 3px; }
    .skip { position: absolute; left: -100rem; }
    .skip:focus {
      left: 1rem; top: 1rem; padding: 0.5rem 1rem; background: var(--paper); z-index: 1;
    }
    .eyebrow {
      margin: 0; color: var(--muted); font-size: 0.8rem; font-weight: 600; letter-spacing: 0.09em;
      text-transform: uppercase;
    }
    h1 { margin: 0.2rem 0 0.4rem; font-size: 2.2rem; line-height: 1.15; letter-spacing: -0.02em; }
    h1 code { font: inherit; }
    h2 {
      margin: 3.5rem 0 1rem; padding-top: 1rem; border-top: 2px solid var(--ink);
      font-size: 1.4rem; line-height: 1.25; letter-spacing: -0.01em;
    }
    h3 { margin: 2rem 0 0.5rem; font-size: 1.05rem; line-height: 1.35; }
    h4 { margin: 0 0 0.6rem; font-size: 0.95rem; font-weight: 400; color: var(--muted); }
    h4 b { color: var(--ink); font-size: 1.15rem; font-style: italic; font-weight: 650; }
    .chains { margin: 0 0 1rem; padding: 0; list-style: none; font-size: 1.05rem; color: var(--muted); }
    .verdict {
      display: inline-block; margin: 0.25rem 0 1rem; padding: 0.5rem 0.9rem;
      border: 1px solid currentColor; border-left-width: 5px; border-radius: 4px;
    }
    .good { color: var(--good); }
    .bad { color: var(--bad); }
    .verdict.none { color: var(--muted); }
    .facts { display: flex; flex-wrap: wrap; gap: 1rem 3rem; margin: 0.75rem 0 0; }
    .facts dt { color: var(--muted); font-size: 0.85rem; }
    .facts dd { margin: 0; font-size: 1.2rem; font-weight: 600; letter-spacing: -0.01em; }
    nav ul {
      display: flex; flex-wrap: wrap; gap: 0.4rem 1.4rem; margin: 1.75rem 0 0; padding: 0;
      list-style: none; font-size: 0.95rem;
    }
    .note, figcaption, .axis, .legend, .legend-line, .y-axis, footer {
      color: var(--muted); font-size: 0.85rem; line-height: 1.45;
    }
    figure { margin: 0; min-width: 0; }
    figcaption { margin-top: 0.5rem; }
    .scroll { overflow-x: auto; max-width: 100%; }
    .plain { margin: 0.1rem 0 0; padding: 0; list-style: none; }
    details { margin: 1.25rem 0; }
    summary { cursor: pointer; color: var(--blue); }
    summary h3 { display: inline; color: var(--ink); }
    summary .aside { margin-left: 0.8rem; color: var(--muted); font-size: 0.85rem; font-weight: 400; }

    table { border-collapse: collapse; margin: 0.75rem 0; font-size: 0.92rem; }
    caption { padding-bottom: 0.4rem; color: var(--muted); font-size: 0.85rem; text-align: left; }
    th, td {
      padding: 0.4rem 1.5rem 0.4rem 0; border-bottom: 1px solid var(--rule); text-align: left;
      white-space: nowrap; font-weight: 400;
    }
    thead th {
      border-bottom: 1px solid var(--ink); color: var(--muted); font-size: 0.82rem;
      vertical-align: bottom;
    }
    th.number, td.number { text-align: right; }
    td svg.stretched { width: 11rem; height: 0.9rem; }

    .network { display: flex; flex-wrap: wrap; align-items: flex-start; gap: 1rem 1.5rem; margin: 1.25rem 0 2rem; }
    .drawing { max-width: 100%; }
    svg { display: block; }
    svg text { fill: var(--ink); font-size: 12px; text-anchor: middle; }
    svg .start { text-anchor: start; }
    svg .end { text-anchor: end; }
    svg .strong { font-size: 13px; font-weight: 600; }
    svg .light, svg .shape, svg .wire-label, svg .omitted { fill: var(--muted); font-size: 11.5px; }
    svg .caption { fill: var(--muted); font-size: 11.5px; }
    svg .caption.start { fill: var(--ink); font-weight: 600; }
    svg .end-label { font-size: 13px; font-style: italic; }
    svg .frame { fill: var(--panel); stroke: var(--rule); }
    svg rect.end { fill: var(--paper); stroke: var(--ink); }
    svg .cell { fill: var(--cell); stroke: var(--cell-edge); }
    svg .cell.reverse { fill: var(--reverse); stroke: var(--reverse-edge); stroke-dasharray: 5 3; }
    svg .wire { fill: none; stroke: var(--muted); stroke-width: 1.3; }
    svg .tip { fill: var(--muted); }

    .stretched { width: 100%; }
    .bars { fill: var(--blue); }
    .zero, .one, .grid, .mean, .line { fill: none; vector-effect: non-scaling-stroke; }
    .zero { stroke: var(--ink); stroke-width: 1; }
    .one { stroke: var(--ink); stroke-width: 1.2; stroke-dasharray: 4 3; }
    .grid { stroke: var(--rule); stroke-width: 1; }
    .line { stroke-width: 1.6; }
    .line.float64 { stroke: var(--blue); }
    .line.float32 { stroke: var(--orange); stroke-dasharray: 5 4; }
    .sample { display: inline-block; width: 36px; height: 8px; vertical-align: middle; }
    .legend-line { display: flex; flex-wrap: wrap; gap: 0.3rem 1.5rem; }
    .panels {
      display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 16rem), 1fr));
      gap: 1.75rem 2.5rem; margin: 1.25rem 0;
    }
    .panels > :only-child { grid-column: 1 / -1; max-width: 46rem; }
    .plot-area { display: grid; grid-template-columns: auto 1fr; gap: 0 0.5rem; }
    .plot-area .stretched { height: 9rem; border-left: 1px solid var(--ink); border-bottom: 1px solid var(--ink); }
    .plot .axis, .small .axis { display: flex; justify-content: space-between; gap: 0.5rem; margin-top: 0.2rem; }
    .y-axis { display: flex; flex-direction: column; justify-content: space-between; text-align: right; }
    .legend { display: flex; align-items: center; gap: 0.5rem; margin-top: 0.3rem; white-space: nowrap; }
    .legend .stretched { flex: 1; height: 0.55rem; min-width: 2rem; }

    .gates {
      display: grid; gap: 1.5rem 2rem; margin: 1rem 0 2.5rem;
      grid-template-columns: repeat(var(--gates), minmax(0, 1fr));
    }
    .figures { display: grid; gap: 1.25rem; align-content: start; }
    .gates[style="--gates:1"] .figures {
      grid-template-columns: repeat(auto-fill, minmax(12rem, 1fr)); gap: 1.5rem 2rem;
    }
    .gates[style="--gates:3"] { max-width: 56rem; }
    .card { min-width: 0; }
    .small .stretched[data-figure="histogram"], .small .stretched[data-figure="spectrum"] {
      height: 5.5rem; border-bottom: 1px solid var(--ink);
    }
    .stretched[data-figure="heat-map"], .stretched[data-figure="hidden-states"] {
      shape-rendering: crispEdges; border: 1px solid var(--rule);
    }
    .shut { fill: var(--paper); stroke: var(--ink); vector-effect: non-scaling-stroke; }
    .between { fill: var(--middle); }
    .open { fill: var(--blue); }
    .mean { stroke: var(--ink); stroke-width: 2; }

    .z { fill: var(--middle); }
    .nan { fill: var(--ink); }
    .p1 { fill: color-mix(in oklab, var(--blue) 12%, var(--middle)); }
    .p2 { fill: color-mix(in oklab, var(--blue) 24%, var(--middle)); }
    .p3 { fill: color-mix(in oklab, var(--blue) 37%, var(--middle)); }
    .p4 { fill: color-mix(in oklab, var(--blue) 50%, var(--middle)); }
    .p5 { fill: color-mix(in oklab, var(--blue) 62%, var(--middle)); }
    .p6 { fill: color-mix(in oklab, var(--blue) 75%, var(--middle)); }
    .p7 { fill: color-mix(in oklab, var(--blue) 88%, var(--middle)); }
    .p8 { fill: var(--blue); }
    .n1 { fill: color-mix(in oklab, var(--orange) 12%, var(--middle)); }
    .n2 { fill: color-mix(in oklab, var(--orange) 24%, var(--middle)); }
    .n3 { fill: color-mix(in oklab, var(--orange) 37%, var(--middle)); }
    .n4 { fill: color-mix(in oklab, var(--orange) 50%, var(--middle)); }
    .n5 { fill: color-mix(in oklab, var(--orange) 62%, var(--middle)); }
    .n6 { fill: color-mix(in oklab, var(--orange) 75%, var(--middle)); }
    .n7 { fill: color-mix(in oklab, var(--orange) 88%, var(--middle)); }
    .n8 { fill: var(--orange); }

    footer { margin-top: 4rem; padding-top: 1rem; border-top: 1px solid var(--rule); }

    @media (max-width: 40rem) {
      body { padding: 1.5rem 1rem 2rem; }
      h1 { font-size: 1.6rem; }
      h2 { margin-top: 2.5rem; }
      .facts { gap: 0.8rem 2rem; }
      .facts dd { font-size: 1.05rem; }
      .gates, .gates[style="--gates:3"] {
        grid-template-columns: repeat(min(2, var(--gates)), minmax(0, 1fr)); gap: 2rem 1.25rem;
      }
      .gates[style="--gates:1"] .figures { grid-template-columns: repeat(2, minmax(0, 1fr)); }
    }
    @media print {
      :root {
        color-scheme: light; --paper: #fff; --panel: #f5f3ee; --ink: #000; --muted: #444;
        --rule: #ccc; --blue: #0a5aa8; --orange: #b4500a; --middle: #efece5; --good: #0b6a4f;
        --bad: #a5330a; --cell: #e3edf8; --cell-edge: #0a5aa8; --reverse: #fbe9da;
        --reverse-edge: #b4500a;
      }
      * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
      body { padding: 0; font-size: 10pt; }
      nav, .skip { display: none; }
      .scroll { overflow: visible; }
      /* What is folded away on a screen is printed. */
      details::details-content { content-visibility: visible; block-size: auto; }
      figure, tr { break-inside: avoid; }
      h2, h3, h4, summary { break-after: avoid; }
      .sized { max-width: 100%; height: auto !important; }
    }

    """
}
