"""Where the mathematics comes from: keys to BibTeX, and what an object uses."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from importlib import resources
from typing import Any

__all__ = ["cite"]

# What the formulas of each class rest on, by class name; an object also cites what it is made of.
_KEYS: dict[str, tuple[str, ...]] = {
    "Semicircle": ("Wigner1958", "Voiculescu1986"),
    "Cauchy": ("BercoviciVoiculescu1993",),
    "FreeStable": ("BercoviciPata1999", "HasebeKuznetsov2014"),
    "Gaussian": ("BelinschiBozejko2011",),
    "MarchenkoPastur": ("MarchenkoPastur1967",),
    "Arcsine": ("NicaSpeicher2006",),
    "KestenMcKay": ("Kesten1959", "McKay1981"),
    "FreeJacobi": ("Wachter1980", "Collins2005"),
    "FreePoisson": ("MarchenkoPastur1967", "NicaSpeicher2006"),
    "FreeMultiplicativeBrownian": ("Biane1997",),
    "FreeMultiplicativePoisson": ("BercoviciVoiculescu1992", "Pennington2018"),
    "FussCatalan": ("PensonZyczkowski2011", "HaagerupMoller2013"),
    "UniversalResNet": ("Tarnowski2018", "Biane1997"),
    "FreeSum": ("Voiculescu1986", "BelinschiBercovici2007", "BercoviciVoiculescu1998"),
    "FreeSumPower": ("Voiculescu1986", "NicaSpeicher2006"),
    "Compression": ("NicaSpeicher2006",),
    "FreeProduct": ("Voiculescu1987", "BelinschiBercovici2007"),
    "FreePower": ("Voiculescu1987",),
    "PolynomialLaw": (
        "BelinschiMaiSpeicher2017",
        "HeltonRashidiFarSpeicher2007",
        "Speicher1998",
        "HaagerupThorbjornsen2005",
        "Anderson2013",
        "Fliess1974",
        "ShlyakhtenkoSkoufranis2015",
        "ArizmendiCebronSpeicherYin2024",
    ),
    "ResidualSum": ("NicaSpeicher2006", "Tarnowski2018"),
    "RectangularSum": ("BenaychGeorges2009", "DozierSilverstein2007"),
    "Inverse": ("HaagerupSchultz2007",),
    "SingleRing": ("HaagerupLarsen2000", "GuionnetKrishnapurZeitouni2011"),
    "GUE": ("Mehta2004", "HarerZagier1986", "MehtaNormand1998"),
    "GOE": ("Mehta2004", "Ledoux2009"),
    "Wishart": ("Mehta2004", "HaagerupThorbjornsen2003", "Widom1999", "AdlerForresterNagaoVanMoerbeke2000"),
    "TracyWidom": (
        "TracyWidom1994",
        "TracyWidom1996",
        "Bornemann2010",
        "FerrariSpohn2005",
        "HastingsMcLeod1980",
        "RamirezRiderVirag2011",
    ),
    "LargestEigenvalue": ("Bornemann2010",),
    "EdgeScaling": ("Johnstone2001", "ElKaroui2006", "JohnstoneMa2012", "Ma2012"),
    "ResNet": ("Tarnowski2018", "YangSchoenholz2017", "LingQiu2018"),
    "Residual": ("Tarnowski2018", "NicaSpeicher2006"),
    "Chain": ("Pennington2017", "Pennington2018"),
    "Dense": ("Pennington2017",),
    "Activation": ("Pennington2017",),
    "DeltaOrthogonal": ("Xiao2018",),
    "OrthogonalFilterNet": ("Ceni2022",),
    "GatedLayer": ("ChenPenningtonSchoenholz2018",),
    "GinibreProduct": ("AkemannKieburgWei2013", "AkemannIpsen2015"),
    "LogNormLaw": ("HaninNica2018",),
    "AngleStep": ("JakubNica2023",),
    "FeatureMoments": ("PenningtonWorah2017",),
    "Outlier": ("BenaychGeorgesNadakuditi2011",),
}


def cite(target: Any) -> str:
    """BibTeX of what an object uses.

    Parameters
    ----------
    target : str or object
        A key of the bibliography, or a law, a network or a result: all that its formulas and those of its parts rest
        on is cited.

    Returns
    -------
    str
        BibTeX entries, separated by blank lines; empty for an object whose formulas need no source.

    Raises
    ------
    ValueError
        If `target` is a string that is no key; the message lists the keys.

    Examples
    --------
    >>> print(cite("Voiculescu1987").splitlines()[0])
    @article{Voiculescu1987,
    """
    entries = _bibliography()
    if isinstance(target, str):
        if target not in entries:
            raise ValueError(f"unknown reference {target!r}: choose one of {', '.join(sorted(entries))}")
        return entries[target]
    return "\n\n".join(entries[key] for key in dict.fromkeys(_keys(target)))


def _keys(target: Any) -> Iterator[str]:
    if isinstance(target, tuple):
        for part in target:
            yield from _keys(part)
    elif is_dataclass(target):
        yield from _KEYS.get(type(target).__name__, ())
        for field in fields(target):
            yield from _keys(getattr(target, field.name))


@functools.cache
def _bibliography() -> dict[str, str]:
    text = resources.files("rmt").joinpath("references.bib").read_text(encoding="utf-8")
    return {key: entry.strip() for entry, key in re.findall(r"(@\w+\{(\w+),.*?^\}$)", text, re.MULTILINE | re.DOTALL)}
