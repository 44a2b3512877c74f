"""How the page of a report looks."""

STYLE = """
:root { color-scheme: light dark; --page: #fff; --ink: #1b1f24; --soft: #5d6570; --line: #d8dce1; }
@media (prefers-color-scheme: dark) {
  :root { --page: #14171b; --ink: #e4e7eb; --soft: #9aa2ad; --line: #343a42; }
}
body { max-width: 62rem; margin: 2rem auto; padding: 0 1rem; background: var(--page);
  color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; }
h2 { font-size: 1.15rem; margin: 2.2rem 0 .7rem; }
section { overflow-x: auto; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1.2rem; }
dt, thead th, .soft { color: var(--soft); font-weight: 400; }
dd { margin: 0; }
table { border-collapse: collapse; }
th, td { padding: .25rem .7rem; text-align: left; vertical-align: top; font-weight: 400; }
th:first-child, td:first-child { padding-left: 0; }
tr { border-bottom: 1px solid var(--line); }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.text { white-space: pre-line; overflow-wrap: anywhere; }
.matrix td, .matrix thead th { text-align: center; font-variant-numeric: tabular-nums; }
.matrix td { min-width: 1.6rem; }
.matrix tr { border: 0; }
svg { max-width: 100%; height: auto; }
svg text { font-family: inherit !important; }
img { display: block; image-rendering: pixelated; }
"""
