r"""Prose with mathematics between dollar signs, as HTML with MathML.

A derivation's reasons are sentences such as ``$S_{AB} = S_A S_B$ for free factors``. The reader's browser has no
LaTeX, so the few commands that sentences need are translated here: letters, numbers, operators, sub- and superscripts,
fractions, binomials, roots, accents, the environments that sympy writes, and any command whose name is also the name of
an HTML character. An unknown command is shown as its name: prose never fails.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from html.entities import html5

__all__ = ["formula", "prose"]

_TOKEN = re.compile(r"\\[A-Za-z]+|\\.|\d+(?:\.\d+)?|\s+|.", re.DOTALL)
# LaTeX names that HTML spells otherwise, or uses for another character
_CHARACTERS = {
    "phi": "ϕ", "varphi": "φ", "epsilon": "ϵ", "varepsilon": "ε", "infty": "∞", "to": "→", "partial": "∂", "cdot": "⋅",
    "dots": "…", "ldots": "…", "cdots": "⋯", "top": "⊤", "mid": "|", "lVert": "‖", "rVert": "‖", "lvert": "|",
    "rvert": "|", "propto": "∝", "neq": "≠", "leq": "≤", "geq": "≥", "ast": "*", "{": "{", "}": "}", "|": "‖",
}  # fmt: skip
_SPACES = {",": "0.17em", ":": "0.22em", ";": "0.28em", " ": "0.28em", "quad": "1em", "qquad": "2em"}
_IGNORED = {"left", "right", "displaystyle", "textstyle", "big", "Big", "bigl", "bigr", "middle", "!", "limits"}
_ACCENTS = {"hat": "^", "tilde": "~", "bar": "¯", "dot": "˙", "widehat": "^", "overline": "¯"}
_UPRIGHT = {"mathrm", "operatorname", "text", "mathsf", "mathbf", "mathcal", "mathbb", "rm"}
_FENCES = "([{⟨|‖⟩}])"
_SCRIPT_MARKS = ("_", "^", "'")
_NEW_ROW = "\\\\"


def _space(width: str) -> str:
    return f'<mspace width="{width}"></mspace>'


_THIN_SPACE = _space("0.17em")


def formula(source: str, *, block: bool = False) -> str:
    """Return one formula, without its dollar signs, as a ``<math>`` element, inline or on a line of its own."""
    display = ' display="block"' if block else ""
    return f"<math{display}>{_Reader(source).row()}</math>"


def prose(text: str) -> str:
    """Return text as HTML, with what stands between dollar signs as inline MathML.

    Parameters
    ----------
    text : str
        Plain text; an unpaired dollar sign stays a dollar sign. Everything is escaped.

    Returns
    -------
    str
        Markup.
    """
    pieces = text.split("$")
    if len(pieces) % 2 == 0:
        pieces[-2:] = ["$".join(pieces[-2:])]
    return "".join(
        formula(piece) if position % 2 else html.escape(piece, quote=False) for position, piece in enumerate(pieces)
    )


class _Reader:
    """Reads tokens of one formula from left to right."""

    def __init__(self, formula: str) -> None:
        self.tokens = [token for token in _TOKEN.findall(formula) if not token.isspace()]
        self.position = 0

    def row(self) -> str:
        """Everything up to a closing brace or the end, as one ``<mrow>``."""
        return f"<mrow>{''.join(self._scripted())}</mrow>"

    def _scripted(self, ends: tuple[str, ...] = ("", "}")) -> Iterator[str]:
        while self._peek() not in ends:
            # a script without a base hangs on an empty one
            atom = "" if self._peek() in _SCRIPT_MARKS else self._atom(self._next())
            scripts: dict[str, str] = {}
            while self._peek() in _SCRIPT_MARKS:
                mark = self._next()
                if mark == "'":
                    mark, script = "^", "<mo>′</mo>"
                else:
                    script = self._argument()
                scripts[mark] = f"<mrow>{scripts[mark]}{script}</mrow>" if mark in scripts else script
            if atom or scripts:
                yield _with_scripts(atom, scripts)
        self._next()

    def _atom(self, token: str) -> str:
        if token == "{":
            return self.row()
        if token.startswith("\\"):
            return self._command(token[1:])
        if token[0].isdigit():
            return f"<mn>{token}</mn>"
        return f"<mi>{token}</mi>" if token.isalpha() else _operator({"-": "−", "~": " "}.get(token, token))

    def _command(self, name: str) -> str:
        if name in _IGNORED:
            return ""
        if name in _SPACES:
            return _space(_SPACES[name])
        if name in ("frac", "tfrac", "dfrac"):
            return f"<mfrac>{self._argument()}{self._argument()}</mfrac>"
        if name == "binom":
            pair = f'<mfrac linethickness="0">{self._argument()}{self._argument()}</mfrac>'
            return f"<mrow><mo>(</mo>{pair}<mo>)</mo></mrow>"
        if name == "begin":
            return self._environment()
        if name == "substack":
            self._next()
            return self._table(("", "}"))
        if name == "sqrt":
            return f"<msqrt>{self._argument()}</msqrt>"
        if name in _ACCENTS:
            return f'<mover accent="true">{self._argument()}<mo>{_ACCENTS[name]}</mo></mover>'
        if name in _UPRIGHT:
            letters = re.sub("<[^>]*>", "", self._argument())
            return f'<mi mathvariant="normal">{letters}</mi>{_THIN_SPACE if name == "operatorname" else ""}'
        character = _CHARACTERS.get(name) or html5.get(f"{name};")
        if character is None:  # ln, diag and the like: upright, apart from their argument
            return f'<mi mathvariant="normal">{html.escape(name)}</mi>{_THIN_SPACE}'
        return f"<mi>{character}</mi>" if character.isalpha() or character == "∞" else _operator(character)

    def _environment(self) -> str:
        """An environment's rows as a table, behind a brace if they are cases."""
        name = self._argument()
        table = self._table(("", "\\end"))
        self._argument()
        return f"<mrow><mo>{{</mo>{table}</mrow>" if "".join(re.findall("<mi>(.)</mi>", name)) == "cases" else table

    def _table(self, ends: tuple[str, ...]) -> str:
        """Cells and rows up to one of the ends, which is read too."""
        rows, end = "<mtr>", "&"
        while end not in ends:
            rows += f"<mtd>{''.join(self._scripted(('&', _NEW_ROW, *ends)))}</mtd>"
            end = self.tokens[self.position - 1] if self.position <= len(self.tokens) else ""
            if end == _NEW_ROW:
                rows += "</mtr><mtr>"
        return f"<mtable>{rows}</mtr></mtable>"

    def _argument(self) -> str:
        token = self._next()
        if token.isdigit() and len(token) > 1:  # an argument without braces is one character: \frac12 is a half
            self.position -= 1
            self.tokens[self.position], token = token[1:], token[0]
        return self._atom(token) if token else "<mrow></mrow>"

    def _next(self) -> str:
        token = self._peek()
        self.position += 1
        return token

    def _peek(self) -> str:
        return self.tokens[self.position] if self.position < len(self.tokens) else ""


def _operator(character: str) -> str:
    stretch = ' stretchy="false"' if character in _FENCES else ""
    return f"<mo{stretch}>{html.escape(character)}</mo>"


def _with_scripts(base: str, scripts: dict[str, str]) -> str:
    base = base or "<mrow></mrow>"
    if "_" in scripts and "^" in scripts:
        return f"<msubsup>{base}{scripts['_']}{scripts['^']}</msubsup>"
    if "_" in scripts:
        return f"<msub>{base}{scripts['_']}</msub>"
    if "^" in scripts:
        return f"<msup>{base}{scripts['^']}</msup>"
    return base
