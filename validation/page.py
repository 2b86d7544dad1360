"""The frame of a report: one HTML page without scripts or outside resources, readable on screen, in the dark, on paper.

Text is escaped here, once: everything that enters as ``str`` is text, everything that is `Html` is markup already.
"""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterable, Sequence
from typing import Any

__all__ = ["Html", "definitions", "details", "element", "join", "page", "picture", "table"]


class Html(str):
    """Markup that is not to be escaped again."""

    __slots__ = ()


def escape(content: str) -> Html:
    """Return text as markup; markup stays as it is."""
    return content if isinstance(content, Html) else Html(html.escape(content))


def join(parts: Iterable[str]) -> Html:
    """Concatenate texts and markup."""
    return Html("".join(escape(part) for part in parts))


def element(tag: str, *content: str, **attributes: str) -> Html:
    """Return ``<tag attributes>content</tag>``; an attribute ``class_`` is written ``class``."""
    written = "".join(f' {name.rstrip("_")}="{html.escape(value)}"' for name, value in attributes.items())
    return Html(f"<{tag}{written}>{join(content)}</{tag}>")


def table(header: Sequence[str], rows: Iterable[Sequence[str]], caption: str = "") -> Html:
    """Return a table whose first column names the rows; columns of numbers are aligned to the right."""
    body = [tuple(row) for row in rows]
    numeric = [any(map(_reads_as_number, column)) for column in zip(*body, strict=True)] or [False] * len(header)
    numeric[0] = False
    classes = [{"class_": "number"} if right else {} for right in numeric]
    names = [element("th", name, scope="col", **style) for name, style in zip(header, classes, strict=True)]
    lines = []
    for first, *rest in body:
        cells = [element("td", cell, **style) for cell, style in zip(rest, classes[1:], strict=True)]
        lines.append(element("tr", element("th", first, scope="row"), *cells))
    parts = ([element("caption", caption)] if caption else []) + [
        element("thead", element("tr", *names)),
        element("tbody", *lines),
    ]
    return element("div", element("table", *parts), class_="scroll")


def definitions(pairs: Iterable[tuple[str, str]]) -> Html:
    """Return a list of names and values."""
    return element("dl", *(join([element("dt", name), element("dd", value)]) for name, value in pairs))


def details(summary: str, *content: str, open_: bool = False) -> Html:
    """Return a part that the reader can unfold, without a script."""
    return Html(f"<details{' open' if open_ else ''}>{element('summary', summary)}{join(content)}</details>")


def picture(figure: Any, alternative: str) -> Html:
    """Return a matplotlib figure as an embedded SVG image with a text for those who cannot see it."""
    from matplotlib import rc_context

    stream = io.BytesIO()
    # text stays text (smaller, searchable), and the same picture has the same bytes
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "rmt-toolkit"}):
        figure.savefig(stream, format="svg", metadata={"Date": None})
    encoded = base64.b64encode(stream.getvalue()).decode("ascii")
    return Html(f'<img src="data:image/svg+xml;base64,{encoded}" alt="{html.escape(alternative)}">')


def page(title: str, *content: str) -> str:
    """Return the whole document."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{html.escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n{element('h1', title)}\n{join(content)}\n</main>\n</body>\n</html>\n"
    )


def _reads_as_number(cell: str) -> bool:
    return not isinstance(cell, Html) and cell.lstrip("+-−<≤ ")[:1].isdigit()


_STYLE = """
:root { --ink: #1a1c20; --soft: #5b616b; --line: #d5d9e0; --card: #f6f7f9; --paper: #ffffff; --link: #1f5fa8;
  --pass: #17663a; --fail: #a4262c; --pass-bg: #e3f3e8; --fail-bg: #fbe7e8; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8ec; --soft: #a3a9b4; --line: #3a3f48; --card: #22262d;
  --paper: #16181d; --link: #8ab8f0; --pass: #86d9a5; --fail: #ff9b9f; --pass-bg: #163524; --fail-bg: #411a1d; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", "Liberation Sans", "DejaVu Sans", sans-serif; }
main { max-width: 68rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.75rem; line-height: 1.25; margin: 0 0 .5rem; }
h2 { font-size: 1.35rem; line-height: 1.3; margin: 3rem 0 .5rem; padding-top: 1.25rem;
  border-top: 1px solid var(--line); }
h3 { font-size: 1.05rem; margin: 1.75rem 0 .5rem; }
p { margin: .5rem 0; max-width: 48rem; }
a { color: var(--link); }
.soft { color: var(--soft); }
.note { font-size: .9rem; }
.verdict { display: inline-block; border-radius: .35rem; padding: .1rem .55rem; font-size: .9rem; font-weight: 600;
  white-space: nowrap; }
.pass { color: var(--pass); background: var(--pass-bg); }
.fail { color: var(--fail); background: var(--fail-bg); }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(22rem, 1fr)); gap: 1rem; margin: 1rem 0; }
figure { margin: 0; }
figure img { width: 100%; height: auto; background: #ffffff; border: 1px solid var(--line); border-radius: .4rem; }
figcaption { color: var(--soft); font-size: .9rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .92rem; margin: .5rem 0 1rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--soft); padding-bottom: .25rem; }
th, td { padding: .3rem .8rem .3rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); }
thead th { color: var(--soft); font-weight: 600; vertical-align: bottom; }
tbody th { font-weight: 500; }
td.number, th.number { text-align: right; white-space: nowrap; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1.25rem; font-size: .92rem; margin: .5rem 0; }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; }
pre, code { font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: .88em; }
pre { background: var(--card); border: 1px solid var(--line); border-radius: .4rem; padding: .7rem .9rem;
  overflow-x: auto; white-space: pre-wrap; overflow-wrap: anywhere; }
details { border: 1px solid var(--line); border-radius: .4rem; padding: .5rem .9rem; margin: .75rem 0; }
details[open] { padding-bottom: .9rem; }
summary { cursor: pointer; font-weight: 600; }
summary:focus-visible, a:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
details details { border: 0; padding: 0; margin: .25rem 0; }
details details summary { font-weight: 400; color: var(--soft); font-size: .9rem; }
ol.steps { padding-left: 1.4rem; }
ol.steps > li { margin: .9rem 0; }
math { font-size: 1.08em; }
.formula { overflow-x: auto; padding: .35rem 0; }
@media print { :root { color-scheme: light; --ink: #000; --soft: #444; --line: #bbb; --paper: #fff; --card: #fff; }
  main { max-width: none; padding: 0; } body { font-size: 10pt; } figure, table, li { break-inside: avoid; }
  h2, h3 { break-after: avoid; } section { break-before: page; } section:first-of-type { break-before: auto; } }
"""
