#!/usr/bin/env python3
"""Draws a demonstration's summary.json as an SVG: loss and accuracy by round, and every teacher's
total score with its standard error. Standard library only; light and dark.

  scripts/demo_plot.py [build/demo/summary.json [examples/fashion-mnist/demo.svg]]
"""

import json
import pathlib
import sys
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 880, 300
TOP, BOTTOM = 58, 250
STYLE = """
  .paper { fill: #ffffff } text { fill: #1f2328; font: 12px system-ui, sans-serif }
  .title { font-weight: 600; font-size: 13px } .soft { fill: #59636e }
  .grid { stroke: #d1d9e0 } .axis { stroke: #818b98 }
  .line { fill: none; stroke: #0969da; stroke-width: 2 } .dot { fill: #0969da }
  .gain { fill: #0969da } .loss { fill: #bc4c00 } .error { stroke: #1f2328 }
  @media (prefers-color-scheme: dark) {
    .paper { fill: #0d1117 } text { fill: #e6edf3 } .soft { fill: #9198a1 }
    .grid { stroke: #30363d } .axis { stroke: #6e7681 }
    .line { stroke: #4493f8 } .dot { fill: #4493f8 }
    .gain { fill: #4493f8 } .loss { fill: #db6d28 } .error { stroke: #e6edf3 }
  }"""


def text(x, y, words, kind="", anchor="start"):
    return (f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">'
            f"{escape(words)}</text>")


def rule(x1, y1, x2, y2, kind):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


def step_of(highest):
    """A round distance of grid lines: 1, 2 or 5 times a power of ten, three to six of them."""
    power = 0.001
    while True:
        for factor in (1, 2, 5):
            if highest / (power * factor) <= 6:
                return power * factor
        power *= 10


def curve(left, right, title, values, unit):
    """One value a round, from zero; the first stands before round 1."""
    step = step_of(max(values) or 1)
    top = step * max(1, -(-max(values) // step))
    place = lambda value: BOTTOM - (BOTTOM - TOP) * value / top
    rounds = max(1, len(values) - 1)
    points = [(left + (right - left) * i / rounds, place(v)) for i, v in enumerate(values)]
    parts = [text(left - 30, 28, title, "title")]
    for i in range(round(top / step) + 1):
        y = place(i * step)
        parts += [rule(left, y, right, y, "grid" if i else "axis"),
                  text(left - 6, y + 4, f"{i * step:g}", "soft", "end")]
    parts += [text(x, BOTTOM + 18, str(i), "soft", "middle") for i, (x, _) in enumerate(points)
              if i % max(1, rounds // 5) == 0]
    parts.append(text((left + right) / 2, BOTTOM + 36, "round", "soft", "middle"))
    parts.append('<polyline class="line" points="'
                 + " ".join(f"{x:.1f},{y:.1f}" for x, y in points) + '"/>')
    parts += [f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>' for x, y in points]
    x, y = points[-1]
    lift = -10 if values[-1] <= values[0] else 18
    parts.append(text(x, y + lift, f"{values[-1]:.3g}{unit}", "", "end"))
    return parts


def bars(left, right, teachers):
    """A bar a teacher, its standard error as a whisker, its reward beside it."""
    lowest = min(0, min(t["score_nats"] - t["stderr_nats"] for t in teachers))
    highest = max(0, max(t["score_nats"] + t["stderr_nats"] for t in teachers))
    zero_width = 52  # room for the rewards at the right end
    scale = (right - zero_width - left) / ((highest - lowest) or 1)
    place = lambda value: left + (value - lowest) * scale
    height = (BOTTOM - TOP) / len(teachers)
    parts = [text(left - 130, 28, "total score (nats) and reward (credits)", "title"),
             rule(place(0), TOP - 4, place(0), BOTTOM, "axis"),
             text(place(0), BOTTOM + 18, "0", "soft", "middle")]
    for i, teacher in enumerate(sorted(teachers, key=lambda t: -t["score_nats"])):
        score, error = teacher["score_nats"], teacher["stderr_nats"]
        reward = teacher["reward_credits"]
        y = TOP + i * height
        middle = y + height / 2
        begin, end = sorted((place(0), place(score)))
        kind = "gain" if score >= 0 else "loss"
        parts += [text(left - 130, middle - 1, teacher["name"]),
                  text(left - 130, middle + 13, teacher["behaviour"], "soft"),
                  f'<rect class="{kind}" x="{begin:.1f}" y="{middle - 7:.1f}" '
                  f'width="{end - begin:.1f}" height="14"/>',
                  rule(place(score - error), middle, place(score + error), middle, "error"),
                  text(right, middle + 4, f"{reward:+,}" if reward else "0", "", "end")]
    return parts


def draw(summary):
    parts = ['<rect class="paper" width="100%" height="100%" rx="6"/>']
    parts += curve(50, 250, "validation loss (nats)", summary["loss"], "")
    parts += curve(320, 510, "validation accuracy (%)", [a * 100 for a in summary["accuracy"]], " %")
    parts += bars(680, 864, summary["teachers"])
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
            f'width="{WIDTH}" height="{HEIGHT}" role="img" '
            f'aria-label="Loss, accuracy and scores of a demonstration">\n'
            f"<style>{STYLE}\n</style>\n" + "\n".join(parts) + "\n</svg>\n")


def main():
    root = pathlib.Path(__file__).resolve().parent.parent
    paths = [pathlib.Path(p) for p in sys.argv[1:3]]
    source = paths[0] if paths else root / "build/demo/summary.json"
    target = paths[1] if len(paths) > 1 else root / "examples/fashion-mnist/demo.svg"
    target.write_text(draw(json.loads(source.read_text())))
    print(target)


if __name__ == "__main__":
    main()
