"""Citations: every key exists, every class cites, parts are included."""

import re

import pytest

from rmt.algebra.free_sum import FreeSum
from rmt.laws.discrete import Discrete
from rmt.laws.marchenko_pastur import MarchenkoPastur
from rmt.laws.semicircle import Semicircle
from rmt.laws.universal_resnet import UniversalResNet
from rmt.references import _KEYS, _bibliography, cite


def test_every_key_is_in_the_bibliography():
    entries = _bibliography()
    assert {key for keys in _KEYS.values() for key in keys} <= set(entries)
    for key, entry in entries.items():
        assert entry.count("{") == entry.count("}")
        assert re.search(rf"^@\w+{{{key},", entry)
        for field in ("title", "author", "year"):
            assert f"  {field} = {{" in entry


def test_a_law_cites_its_parts_once():
    text = cite(FreeSum((Semicircle(), FreeSum((Semicircle(), MarchenkoPastur(ratio=2))))))
    for key in ("Wigner1958", "MarchenkoPastur1967", "BelinschiBercovici2007"):
        assert text.count(f"{{{key},") == 1
    assert "1809.08848" in cite(UniversalResNet(c=1))
    assert cite(Discrete({1: 1})) == ""


def test_unknown_key_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"unknown reference 'Nobody2000'.*Tarnowski2018"):
        cite("Nobody2000")
