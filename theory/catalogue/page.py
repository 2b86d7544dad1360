"""The catalogue as a page of Markdown, the one in the documentation."""

from __future__ import annotations

import sympy as sp

from theory.catalogue import TOPICS, entries
from theory.catalogue.published import Entry

__all__ = ["markdown"]

_HEAD = """\
# Catalogue of results

Every published result that the toolkit carries, with what must hold for it, where it comes from, and what it is checked
against. `rmt catalogue show KEY` prints the derivation of one, `rmt catalogue --check` checks them all; in Python they
are `theory.catalogue.entries()`. Symbols are those of [the conventions](conventions.md); an entry explains what it
needs beside them.

*This page is printed by `rmt catalogue --markdown`.*
"""


def markdown() -> str:
    """The whole catalogue: topics as sections, entries with statement, hypotheses, source and check."""
    sections = [_HEAD]
    for topic in TOPICS:
        sections.append(f"## {topic}\n")
        sections.extend(_section(entry) for entry in entries(topic))
    return "\n".join(sections)


def _section(entry: Entry) -> str:
    formulas = "\n\n".join(f"$$\n{sp.latex(relation)}\n$$" for relation in entry.relations)
    return (
        f"### {entry.title}\n\n`{entry.key}`. {' '.join(entry.hypotheses)}\n\n{formulas}\n\n"
        f"*{entry.sources()}. {entry.verified()}*\n"
    )
