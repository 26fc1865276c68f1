#!/usr/bin/env python3
"""Opens the auditor's reports in a real browser (Debian's chromium) and looks at them as people do:
in light, dark and print, at 360 px and on a desk, and through the accessibility tree.

  report_browser_test.py --test-audit TEST_AUDIT [--report FILE]… [--keep FOLDER]

TEST_AUDIT writes its sample reports; --report adds one made elsewhere. --keep leaves screenshots.
"""

import argparse
import base64
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

try:
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service
except ImportError:
    sys.exit("report_browser_test: python3-selenium is missing; run: scripts/setup --test")

CHROMIUM, DRIVER = "/usr/bin/chromium", "/usr/bin/chromedriver"
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--disable-extensions", "--disable-dev-shm-usage", "--hide-scrollbars"]

# Every text with the colours it is drawn in; the page's own helper of nothing.
CONTRAST = r"""
const luminance = ([r, g, b]) => [r, g, b].map(v => v / 255)
  .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
  .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
const parse = text => (text.match(/[\d.]+/g) || []).map(Number);
const behind = node => {
  for (let at = node; at; at = at.parentElement) {
    const colour = parse(getComputedStyle(at).backgroundColor);
    if (colour.length === 3 || colour[3] === 1) return colour.slice(0, 3);
  }
  return [255, 255, 255];
};
const worst = {};
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const node = walker.currentNode.parentElement;
  if (!walker.currentNode.data.trim() || !node.getClientRects().length) continue;
  if (["STYLE", "TITLE", "DESC"].includes(node.tagName.toUpperCase())) continue;
  const style = getComputedStyle(node);
  const ink = parse(node instanceof SVGElement ? style.fill : style.color).slice(0, 3);
  const [high, low] = [luminance(ink), luminance(behind(node))].sort((a, b) => b - a);
  const ratio = (high + 0.05) / (low + 0.05);
  if (!(ratio >= (worst.ratio || 99))) worst.ratio = ratio, worst.text = walker.currentNode.data;
}
return worst;
"""
SMALLEST_TEXT = """
return Math.min(...[...document.querySelectorAll("svg text")].map(text => {
  const box = text.ownerSVGElement, scale = box.getScreenCTM().a;
  return parseFloat(getComputedStyle(text).fontSize) * scale;
}), 99);
"""
# Words of one picture that cover each other.
COLLISIONS = """
const hits = [];
for (const svg of document.querySelectorAll("svg.chart, svg.interval")) {
  const boxes = [...svg.querySelectorAll("text")].map(t => [t, t.getBoundingClientRect()]);
  boxes.forEach(([a, p], i) => boxes.slice(i + 1).forEach(([b, q]) => {
    const wide = Math.min(p.right, q.right) - Math.max(p.left, q.left);
    const high = Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top);
    if (wide > 2 && high > 4) hits.push(a.textContent + " / " + b.textContent);
  }));
}
return hits;
"""


class Page:
    """One report in one browser."""

    def __init__(self, driver, path):
        self.driver = driver
        self.path = path
        self.failures = []
        driver.get("about:blank")  # a new tab's own requests are over
        driver.get_log("performance")
        driver.get_log("browser")
        driver.get(path.as_uri())

    def expect(self, holds, what):
        if not holds:
            self.failures.append(f"{self.path.name}: {what}")

    def command(self, name, **parameters):
        return self.driver.execute_cdp_cmd(name, parameters)

    def script(self, text):
        return self.driver.execute_script(text)

    def emulate(self, width, scheme="light", media=""):
        self.command("Emulation.setDeviceMetricsOverride", width=width, height=900,
                     deviceScaleFactor=1, mobile=False)
        self.command("Emulation.setEmulatedMedia", media=media,
                     features=[{"name": "prefers-color-scheme", "value": scheme}])

    def screenshot(self, path):
        size = self.command("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], 6000),
                "scale": 1}
        image = self.command("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        path.write_bytes(base64.b64decode(image["data"]))

    def check_quiet(self):
        """Nothing is asked for but the file itself, nothing complained about."""
        asked = []
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if (message["method"] == "Network.requestWillBeSent"
                    and message["params"]["documentURL"] == self.path.as_uri()):
                asked.append(message["params"]["request"]["url"])
        self.expect(asked == [self.path.as_uri()], f"asks for {asked}")
        said = [entry["message"] for entry in self.driver.get_log("browser")]
        self.expect(not said, f"the console says {said}")
        self.expect(self.script("return document.scripts.length") == 0, "has a script")
        handlers = self.script(
            "return [...document.querySelectorAll('*')].flatMap(e => [...e.attributes])"
            ".filter(a => a.name.startsWith('on')).length")
        self.expect(handlers == 0, "has event handlers")

    def check_looks(self):
        for scheme in ("light", "dark"):
            self.emulate(1000, scheme)
            worst = self.script(CONTRAST)
            self.expect(worst["ratio"] >= 4.5, f"{scheme}: contrast {worst}")
        for width in (360, 1000):
            self.emulate(width)
            wide = self.script("return document.documentElement.scrollWidth")
            self.expect(wide <= width, f"{wide} px wide on a screen of {width}")
            smallest = self.script(SMALLEST_TEXT)
            self.expect(smallest >= 10.5, f"text of {smallest:.1f} px at {width}")
            hits = self.script(COLLISIONS)
            self.expect(not hits, f"at {width} px words cover each other: {hits[:5]}")
        self.emulate(1000, "dark", "print")
        paper = self.script("return getComputedStyle(document.body).backgroundColor")
        self.expect(paper == "rgb(255, 255, 255)", f"prints on {paper}")
        worst = self.script(CONTRAST)
        self.expect(worst["ratio"] >= 4.5, f"print: contrast {worst}")
        self.emulate(1000)
        pdf = base64.b64decode(self.command("Page.printToPDF", printBackground=False)["data"])
        self.expect(pdf.startswith(b"%PDF") and len(pdf) > 10000, "does not print")
        return pdf

    def check_sounds(self):
        """What a screen reader is told."""
        nodes = self.command("Accessibility.getFullAXTree")["nodes"]
        named = {}
        for node in nodes:
            if node.get("ignored"):
                continue
            role = node.get("role", {}).get("value", "")
            named.setdefault(role, []).append(node.get("name", {}).get("value", ""))
        self.expect(self.script("return document.documentElement.lang") == "en", "no language")
        self.expect(len(named.get("main", [])) == 1, "no main landmark")
        self.expect("banner" in named and "contentinfo" in named, "no header or footer")
        images = [name for role in ("image", "img", "figure", "graphics-document")
                  for name in named.get(role, [])]
        for chart in ("Validation loss by round, in nats",
                      "Validation accuracy by round, in percent"):
            self.expect(chart in images, f"no picture is called {chart!r}: {images}")
        tables = named.get("table", [])
        for caption in ("Scores with intervals, highest first", "The campaign's escrow"):
            self.expect(caption in tables, f"no table is called {caption!r}: {tables}")
        self.expect(all(tables), "a table without a name")
        self.expect(all(named.get("region", [])), "a region without a name")
        levels = self.script("return [...document.querySelectorAll('h1,h2,h3')]"
                             ".map(h => +h.tagName[1])")
        self.expect(levels[0] == 1 and levels.count(1) == 1, f"headings {levels}")
        self.expect(all(b - a <= 1 for a, b in zip(levels, levels[1:])), f"headings {levels}")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--test-audit", type=pathlib.Path)
    parser.add_argument("--report", type=pathlib.Path, action="append", default=[])
    parser.add_argument("--keep", type=pathlib.Path)
    options = parser.parse_args()
    for program in (CHROMIUM, DRIVER):
        if not pathlib.Path(program).exists():
            sys.exit(f"report_browser_test: {program} is missing; run: scripts/setup --test")

    scratch = pathlib.Path(tempfile.mkdtemp(prefix="report_browser."))
    keep = options.keep or scratch
    keep.mkdir(parents=True, exist_ok=True)
    reports = [path.resolve() for path in options.report]
    if options.test_audit:
        subprocess.run([options.test_audit, "[.reports]"], check=True, stdout=subprocess.DEVNULL,
                       env={**os.environ, "CROWDTEACH_REPORTS": str(keep.resolve())})
        reports += sorted(keep.resolve().glob("*.html"))
    chrome = webdriver.ChromeOptions()
    chrome.binary_location = CHROMIUM
    for flag in FLAGS + [f"--user-data-dir={scratch / 'profile'}"]:
        chrome.add_argument(flag)
    chrome.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    failures = []
    driver = webdriver.Chrome(service=Service(DRIVER), options=chrome)
    try:
        for path in reports:
            page = Page(driver, path)
            page.check_quiet()
            page.check_sounds()
            pdf = page.check_looks()
            if options.keep:
                (keep / f"{path.stem}.pdf").write_bytes(pdf)
                for name, arguments in {"desk": (1000,), "dark": (1000, "dark"),
                                        "phone": (360,)}.items():
                    page.emulate(*arguments)
                    page.screenshot(keep / f"{path.stem}-{name}.png")
            failures += page.failures
            print(f"{path.name}: {len(page.failures)} failures", flush=True)
    finally:
        driver.quit()
        shutil.rmtree(scratch, ignore_errors=True)
    if failures or not reports:
        sys.exit("\n".join(failures) or "report_browser_test: no reports")


if __name__ == "__main__":
    main()
