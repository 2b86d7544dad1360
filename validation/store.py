"""Checkpoints of an experiment in a folder: one file a chunk of replicas, written whole or not at all.

``experiment.json`` names the experiment; ``width-00400_forward_replicas-000012-000016.npz`` holds replicas 12 to 15 at
width 400, sampled by the method ``forward``: columns with a row a replica, and in a summary the histogram of all.
A chunk is written under a temporary name, flushed to disk and renamed, so a killed run leaves only complete chunks.
Replicas are numbered, so that chunks of another size, or written twice, neither lose nor repeat one. No pickle is read.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["ChunkStore", "write_atomically"]

Columns = dict[str, npt.NDArray[Any]]

CHUNK_NAME = re.compile(r"width-(\d+)_(\w+)_replicas-(\d+)-(\d+)\.npz")


def write_atomically(path: Path, columns: Mapping[str, npt.NDArray[Any]]) -> None:
    """Write arrays to an ``.npz`` file that appears complete or not at all."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=path.stem, suffix=".tmp", delete=False) as stream:
        try:
            np.savez(stream, allow_pickle=False, **columns)
            stream.flush()
            os.fsync(stream.fileno())
            Path(stream.name).replace(path)
        except BaseException:
            Path(stream.name).unlink(missing_ok=True)
            raise


class ChunkStore:
    """The folder of one experiment.

    Parameters
    ----------
    folder : Path
        Created if missing.
    identity : mapping
        What defines the numbers of the experiment (JSON values), widths and methods apart.
    methods : mapping from width to str
        How each width is sampled.

    Raises
    ------
    ValueError
        If the folder holds another experiment, or is not writable.
    """

    def __init__(self, folder: Path, identity: Mapping[str, Any], methods: Mapping[int, str]) -> None:
        self.folder = folder
        self._methods = methods
        text = json.dumps(dict(identity), indent=1, sort_keys=True) + "\n"
        card = folder / "experiment.json"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if not card.exists():
                with tempfile.NamedTemporaryFile("w", dir=folder, suffix=".tmp", delete=False) as stream:
                    stream.write(text)
                Path(stream.name).replace(card)
            stored = card.read_text(encoding="utf-8")
        except OSError as error:
            raise ValueError(
                f"store={str(folder)!r} cannot be used ({error}); choose a folder you can write to"
            ) from error
        if stored != text:
            raise ValueError(
                f"store={str(folder)!r} belongs to another experiment{_first_difference(stored, identity)}; "
                "choose another folder, or delete this one"
            )

    def write(self, width: int, start: int, stop: int, columns: Columns) -> None:
        """Keep the replicas ``start`` to ``stop - 1``."""
        name = f"width-{width:05d}_{self._methods[width]}_replicas-{start:06d}-{stop:06d}.npz"
        write_atomically(self.folder / name, columns)

    def chunks(self, spectra: bool) -> Iterator[tuple[int, int, int, Columns]]:
        """The stored chunks of the wanted widths: width, start, stop, columns.

        Raises
        ------
        ValueError
            If a file is damaged, was sampled by another method, or holds a summary where `spectra` are needed.
        """
        for path in sorted(self.folder.glob("width-*.npz")):
            match = CHUNK_NAME.fullmatch(path.name)
            if match is None or int(match[1]) not in self._methods:
                continue
            width, method, start, stop = int(match[1]), match[2], int(match[3]), int(match[4])
            if method != self._methods[width]:
                raise ValueError(
                    f"store={str(self.folder)!r} was sampled by method={method!r} at width {width}, not by "
                    f"{self._methods[width]!r}; ask for that method, or choose another folder"
                )
            try:
                with np.load(path, allow_pickle=False) as stored:
                    columns = {name: stored[name] for name in stored.files}
            except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
                raise ValueError(f"store: {path} is damaged ({error}); delete this file and run again") from error
            if any(len(column) != stop - start for name, column in columns.items() if not name.startswith("histogram")):
                raise ValueError(f"store: {path} does not hold {stop - start} replicas; delete this file and run again")
            if spectra and "log_singular_values" not in columns:
                raise ValueError(
                    f"store={str(self.folder)!r} holds summaries, not spectra; run with keep='summary', or choose "
                    "another folder"
                )
            yield width, start, stop, columns


def _first_difference(stored: str, identity: Mapping[str, Any]) -> str:
    """Which entry differs, for the message."""
    try:
        other = json.loads(stored)
    except json.JSONDecodeError:
        return ""
    if not isinstance(other, dict):
        return ""
    for name, value in identity.items():
        if other.get(name) != value:
            return f" ({name}={str(other.get(name))[:60]} there, {str(value)[:60]} here)"
    return ""
