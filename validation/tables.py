"""Plain text tables for the shell: aligned columns, no colour, no box drawing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

__all__ = ["text_table"]


def text_table(rows: Iterable[Sequence[str]], header: Sequence[str] = ()) -> str:
    """Align rows of cells in columns.

    Parameters
    ----------
    rows : iterable of sequences of str
        All of one length. A column whose cells all look like numbers (or are empty) is aligned to the right.
    header : sequence of str, optional
        Names of the columns, underlined.

    Returns
    -------
    str
        The table, without a final newline.
    """
    body = [tuple(row) for row in rows]
    lines = [tuple(header), *body] if header else body
    if not lines:
        return ""
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    numeric = [
        bool(body) and all(not cell or cell[:1] in "+-0123456789<" for cell in col) for col in zip(*body, strict=True)
    ] or [False] * len(widths)
    if header:
        lines.insert(1, tuple("-" * width for width in widths))
    return "\n".join(
        "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(line, widths, numeric, strict=True)
        ).rstrip()
        for line in lines
    )
