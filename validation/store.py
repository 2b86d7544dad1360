"""Checkpoints of an experiment in a folder: one file a chunk of replicas, written whole or not at all.

``experiment.json`` names the experiment; ``width-00400_replicas-000012-000016.npz`` holds replicas 12 to 15 at
width 400.
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

CHUNK_NAME = re.compile(r"width-(\d+)_replicas-(\d+)-(\d+)\.npz")


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
        What defines the numbers of the experiment (JSON values).

    Raises
    ------
    ValueError
        If the folder holds another experiment, or is not writable.
    """

    def __init__(self, folder: Path, identity: Mapping[str, Any]) -> None:
        self.folder = folder
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
        write_atomically(self.folder / f"width-{width:05d}_replicas-{start:06d}-{stop:06d}.npz", columns)

    def chunks(self) -> Iterator[tuple[int, int, int, Columns]]:
        """The stored chunks: width, start, stop, columns.

        Raises
        ------
        ValueError
            If a file is damaged.
        """
        for path in sorted(self.folder.glob("width-*.npz")):
            match = CHUNK_NAME.fullmatch(path.name)
            if match is None:
                continue
            width, start, stop = (int(part) for part in match.groups())
            try:
                with np.load(path, allow_pickle=False) as stored:
                    columns = {name: stored[name] for name in stored.files}
            except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
                raise ValueError(f"store: {path} is damaged ({error}); delete this file and run again") from error
            if any(len(column) != stop - start for column in columns.values()):
                raise ValueError(f"store: {path} does not hold {stop - start} replicas; delete this file and run again")
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
