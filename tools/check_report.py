"""Makes reports and looks at them in a headless Chromium; called by tools/check_report.

    check_report.py STRATA [--quick] [--picture]
"""

import json
import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "report"))
import checks
import models
from browser import Browser

PACKAGE = pathlib.Path(__file__).parent.parent
OUTPUT = PACKAGE / ".build" / "report"
CATALOGUE = PACKAGE / "Sources" / "RecurrentNetworks" / "RecurrentNetworks.docc"
PICTURE = CATALOGUE / "Resources" / "report.png"
# Pages under fixtures/pytorch; those without golden show what is missing.
QUICK = ["rnn-tanh-l1-uni-bias", "intermediates-lstm-proj-bi", "stacked-tokens"]
CASES = QUICK + [
    "lstm-l3-bi-bias", "gru-l3-uni-bias", "lstm-proj-l2", "tokens-lstm", "stacked-kinds",
    "head-classifier", "head-h-n", "intermediates-gru", "intermediates-lengths", "cell-gru",
    "encoder-decoder", "char-model", "lstm-long", "gru-float64",
]


class Report:
    """A page with the numbers that it must show."""

    def __init__(self, strata, name, model, golden=None):
        self.name = name
        self.path = OUTPUT / f"{name}.html"
        command = [strata, "report", str(model), "-o", str(self.path), "--force", "--json"]
        if golden:
            command += ["--golden", str(golden)]
        result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode != 0 or result.stderr:
            raise SystemExit(f"{' '.join(command)}: {result.returncode}\n{result.stderr}")
        (OUTPUT / f"{name}.json").write_text(result.stdout)
        self.data = json.loads(result.stdout)


def reports(strata, quick):
    """The pages, one after the other."""
    for case in QUICK if quick else CASES:
        directory = PACKAGE / "fixtures" / "pytorch" / case
        yield Report(strata, case, directory / "model.h5", directory / "golden.h5")
    bare = PACKAGE / "fixtures" / "pytorch" / "gru-l3-bi-bias" / "model.h5"
    yield Report(strata, "without-golden", bare)
    for make in [models.hostile] if quick else [models.hostile, models.deep, models.wide]:
        model = OUTPUT / f"{make.__name__}.safetensors"
        make(model)
        yield Report(strata, make.__name__, model)
    if not quick:
        # The golden of another model of the same sizes: everything fits, and nothing is equal.
        crossed = PACKAGE / "fixtures" / "pytorch"
        yield Report(strata, "not-verified", crossed / "lstm-l3-uni-bias" / "model.h5",
                     crossed / "lstm-l3-uni-nobias" / "golden.h5")


def look(browser, report, quick):
    """Opens a page in both themes and two widths, prints it, and tells what is wrong."""
    faults = []
    browser.show("light", 1280)
    browser.open(report.path)
    faults += checks.page_faults(browser.evaluate(checks.INVENTORY), report.data)
    browser.press("Tab", 9)
    focused = browser.evaluate("document.activeElement.className + ' '"
                               " + (document.activeElement.getBoundingClientRect().left >= 0)")
    if focused != "skip true":
        faults.append(f"the first key press leads to {focused}")
    browser.evaluate("document.activeElement.blur()")
    for theme in ("light", "dark"):
        for width in (1280, 390):
            browser.show(theme, width)
            sizes = browser.evaluate(checks.OVERFLOW)
            if sizes["page"] > sizes["width"] or sizes["wide"]:
                faults.append(f"{theme} {width}: too wide: {sizes}")
            if width == 1280 and not browser.evaluate(checks.BESIDE):
                faults.append(f"{theme} {width}: the two drawings do not stand side by side")
            faults += [f"{theme}: contrast: {low}" for low in browser.evaluate(checks.CONTRAST)]
            # Two of four show both themes and both widths.
            if not quick or (theme == "light") == (width == 1280):
                browser.screenshot(OUTPUT / f"{report.name}-{theme}-{width}.png")
    browser.show("dark", 1280, media="print")
    if browser.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)":
        faults.append("print: not on white paper")
    browser.show("light", 1280)
    pdf = browser.pdf()
    (OUTPUT / f"{report.name}.pdf").write_bytes(pdf)
    if not pdf.startswith(b"%PDF") or len(pdf) < 10000:
        faults.append("print: no PDF")
    return faults + browser.messages


def take_picture(browser, strata):
    """The head of a page and its drawings, for the README."""
    directory = PACKAGE / "fixtures" / "pytorch" / "char-model"
    report = Report(strata, "char-model", directory / "model.h5", directory / "golden.h5")
    browser.show("light", 1280)
    browser.open(report.path)
    end = browser.evaluate("document.querySelector('.network').getBoundingClientRect().bottom")
    PICTURE.parent.mkdir(exist_ok=True)
    browser.screenshot(PICTURE, {"x": 0, "y": 0, "width": 1280, "height": end + 24})
    print(f"{PICTURE.relative_to(PACKAGE)}: {PICTURE.stat().st_size // 1000} kB")


def main():
    strata, quick = sys.argv[1], "--quick" in sys.argv
    OUTPUT.mkdir(parents=True, exist_ok=True)
    browser = Browser()
    failed = False
    try:
        if "--picture" in sys.argv:
            return take_picture(browser, strata)
        for report in reports(strata, quick):
            start = time.monotonic()
            faults = look(browser, report, quick)
            failed = failed or bool(faults)
            print(f"{'FAILED' if faults else 'ok':7}{report.name:32}"
                  f"{report.path.stat().st_size // 1024:6} KiB {time.monotonic() - start:6.1f} s")
            for fault in faults[:12]:
                print(f"       {fault}")
    finally:
        browser.close()
    print(f"Screenshots and PDFs are in {OUTPUT.relative_to(PACKAGE)}")
    sys.exit(failed)


if __name__ == "__main__":
    main()
