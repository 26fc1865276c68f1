#include "ledger/audit/report_style.h"

namespace crowdteach::audit {
namespace {

constexpr std::string_view kStyle = R"css(
:root {
  color-scheme: light dark;
  --paper: #ffffff; --wash: #f4f6f8; --ink: #1c2127; --soft: #56606b; --rule: #d5dae0;
  --axis: #77818c; --gain: #0a5ca8; --loss: #a6430a; --good: #0a5ca8; --warn: #a6430a;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #15181c; --wash: #1d2227; --ink: #e7eaee; --soft: #a6afb9; --rule: #343b43;
    --axis: #7d8792; --gain: #79b8f7; --loss: #f0a268; --good: #79b8f7; --warn: #f0a268;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "DejaVu Sans",
    sans-serif;
  font-variant-numeric: lining-nums tabular-nums;
}
body > * { max-width: 50rem; margin-inline: auto; padding-inline: 1.25rem; }
header { padding-top: 2.75rem; }
h1 { font-size: 2rem; line-height: 1.2; margin: 0 0 .4rem; letter-spacing: -.015em; }
h2 {
  font-size: 1.4rem; line-height: 1.25; margin: 3.2rem 0 .5rem; letter-spacing: -.01em;
  border-top: 1px solid var(--rule); padding-top: 1.4rem;
}
h3 { font-size: 1.06rem; margin: 2.2rem 0 .35rem; }
h1, h2, h3, p, dd, td, th, li, figcaption { overflow-wrap: break-word; }
p { margin: .35rem 0 .8rem; max-width: 42rem; }
a { color: var(--gain); }
.soft, .over { color: var(--soft); }
.over { margin: 0 0 .2rem; font-size: .85rem; }
.small { font-size: .88rem; }
code, .hash { font: .86em/1.5 ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono",
  monospace; overflow-wrap: anywhere; }
pre {
  background: var(--wash); padding: .8rem 1rem; margin: .6rem 0 1rem; border-radius: 4px;
  white-space: pre-wrap; overflow-wrap: anywhere;
}
.verdict {
  border-left: 6px solid var(--good); background: var(--wash); margin: 1.6rem 0 1.2rem;
  padding: .9rem 1.2rem; border-radius: 0 4px 4px 0;
}
.verdict.partly { border-color: var(--warn); }
.verdict strong { display: block; font-size: 1.5rem; line-height: 1.3; color: var(--good); }
.verdict.partly strong { color: var(--warn); }
.verdict p { margin: .2rem 0 0; }
nav ul { list-style: none; margin: .2rem 0; padding: 0; display: flex; flex-wrap: wrap;
  gap: .2rem 1.2rem; }
.figures { display: grid; gap: 1.2rem 2rem; margin: .8rem 0;
  grid-template-columns: repeat(auto-fit, minmax(min(19rem, 100%), 1fr)); }
.figures > table { align-self: start; }
figure { margin: 0; min-width: 0; }
figcaption { font-weight: 600; font-size: .95rem; margin-bottom: .2rem; }
.sparks { display: grid; gap: 1rem 1.4rem; margin: .8rem 0;
  grid-template-columns: repeat(auto-fill, minmax(8.6rem, 1fr)); }
.sparks figcaption { display: flex; justify-content: space-between; gap: .6rem; font-size: .86rem; }
.sparks figcaption bdi { font-weight: 400; overflow: hidden; text-overflow: ellipsis;
  white-space: nowrap; }
svg { display: block; width: 100%; height: auto; overflow: visible; }
svg text { font-family: inherit; font-size: 12px; fill: var(--ink); }
svg .soft { fill: var(--soft); }
svg .strong { font-weight: 600; }
svg .mark { paint-order: stroke; stroke: var(--paper); stroke-width: 3px; stroke-linejoin: round; }
.grid { stroke: var(--rule); stroke-width: 1; }
.axis { stroke: var(--axis); stroke-width: 1; }
.cross { stroke: var(--loss); stroke-width: 1.6; }
.line { fill: none; stroke: var(--gain); stroke-width: 2; stroke-linejoin: round; }
.line.loss { stroke: var(--loss); }
.dot, .end { fill: var(--gain); }
.dot.loss { fill: var(--loss); }
.error { stroke: var(--gain); stroke-width: 2; }
.cap { stroke: var(--gain); stroke-width: 1.4; }
.error.loss, .cap.loss { stroke: var(--loss); }
svg.interval { height: 24px; }
.scroll { overflow-x: auto; margin: .6rem 0 1rem; }
.scroll:focus-visible { outline: 2px solid var(--gain); }
table { border-collapse: collapse; width: 100%; font-size: .92rem; }
caption { text-align: left; color: var(--soft); font-size: .88rem; padding-bottom: .3rem; }
th, td { padding: .28rem .9rem .28rem 0; text-align: left; vertical-align: baseline; }
th { font-weight: 600; }
thead th { border-bottom: 1px solid var(--axis); font-size: .86rem; }
tbody tr + tr > * { border-top: 1px solid var(--rule); }
tfoot > tr > *, tr.total > * { border-top: 1px solid var(--axis) !important; font-weight: 600; }
tbody th { font-weight: 400; }
.n { text-align: right; white-space: nowrap; }
th:last-child, td:last-child { padding-right: 0; }
.scores { table-layout: fixed; }
.scores td, .scores th { vertical-align: middle; padding-block: 0; }
.scores .name { width: 28%; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.scores .plot { width: 42%; padding-inline: .4rem 1rem; }
.scroll tbody th { white-space: nowrap; }
table.fit { width: auto; }
.scores tbody tr + tr > * { border-top: 0; }
.scores tbody tr { height: 24px; }
.scores .gap { color: var(--soft); font-size: .86rem; padding-block: .4rem; }
.loses { color: var(--loss); }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(15rem, 100%), 1fr));
  gap: .5rem 2rem; margin: .6rem 0 1rem; }
dt { color: var(--soft); font-size: .86rem; }
dd { margin: 0; }
footer { color: var(--soft); font-size: .88rem; margin-top: 3rem; padding-bottom: 3rem; }
@media (max-width: 30rem) {
  h1 { font-size: 1.6rem; }
  .scores { font-size: .84rem; }
  .scores .name { width: 30%; padding-right: .4rem; }
  .scores .plot { width: 26%; padding-inline: .2rem .4rem; }
  .scores .n { padding-right: .3rem; }
}
@media print {
  :root {
    color-scheme: light;
    --paper: #ffffff; --wash: #f4f6f8; --ink: #000000; --soft: #3f4851; --rule: #c3c9cf;
    --axis: #77818c; --gain: #0a5ca8; --loss: #a6430a; --good: #0a5ca8; --warn: #a6430a;
  }
  @page { margin: 16mm 15mm; }
  body { font-size: 9.5pt; }
  body > * { max-width: none; padding-inline: 0; }
  header { padding-top: 0; }
  nav { display: none; }
  h2 { break-after: avoid; margin-top: 1.8rem; }
  h3, caption, figcaption { break-after: avoid; }
  figure, tr, pre, .verdict, dl > div { break-inside: avoid; }
  .figures { grid-template-columns: 1fr 1fr; }
  .scroll { overflow: visible; }
  svg * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  a { color: inherit; text-decoration: none; }
}
)css";

}  // namespace

std::string_view ReportStyle() { return kStyle; }

}  // namespace crowdteach::audit
