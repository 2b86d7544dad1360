"""`rmt catalogue`: what the shell prints is what the catalogue says."""

import json
from pathlib import Path

import pytest
import sympy as sp

from theory import catalogue
from theory.catalogue.page import markdown
from theory.catalogue.published import Entry, eq
from validation import commands
from validation.cli import main

PAGE = Path(__file__).parents[2] / "docs" / "catalogue.md"


@pytest.fixture
def shell(capsys):
    """Run a command that must end with the given code and return what it printed."""

    def run(*argv, code=0):
        assert main(argv) == code
        out, err = capsys.readouterr()
        return out if code < 2 else err

    return run


def test_the_list(shell):
    lines = shell("catalogue").splitlines()
    assert [line.split()[0] for line in lines if line.startswith("  ")] == list(catalogue.keys())
    assert [line for line in lines if not line.startswith("  ")][:-1] == list(catalogue.TOPICS)
    listed = json.loads(shell("catalogue", "--json"))["topics"]
    assert [item["key"] for topic in listed.values() for item in topic] == list(catalogue.keys())
    assert listed["Random features"][0]["source"] == "PenningtonWorah2017, theorem 1"


def test_one_entry_in_every_form(shell):
    entry = catalogue.entry("fuss-catalan-edge")
    derivation = entry.derivation()
    assert shell("catalogue", "show", entry.key) == f"{derivation}\n"
    assert shell("catalogue", "show", entry.key, "--latex") == f"{derivation.latex()}\n"
    assert shell("catalogue", "show", entry.key, "--markdown") == f"{derivation.to_markdown()}\n"
    data = json.loads(shell("catalogue", "show", entry.key, "--json"))
    assert data["statement"] == ["Eq(x_max, (L + 1)**(L + 1)/L**L)"]
    assert data["passed"] is True
    assert "@article{PensonZyczkowski2011" in data["bibtex"]
    assert data["latex"] == derivation.latex()


def test_a_failed_check_shows_in_the_exit_code(shell, monkeypatch):
    key = "width-one-gradient"
    text = shell("catalogue", "show", key, "--check")
    assert text.count(" ok\n") == len(catalogue.entry(key).check())
    assert f"ok      {key}" in text
    a = sp.Symbol("a")
    wrong = Entry("wrong", "Wrong", (eq(a, 1),), ("h",), (("", "derived here"),), lambda: [{a: 2}], "a number")
    monkeypatch.setattr(catalogue, "entry", lambda _key: wrong)
    monkeypatch.setattr(catalogue, "entries", lambda *_topic: (catalogue._topic("Gradients at finite width")[0], wrong))
    assert "FAILED  wrong (1 comparisons)" in shell("catalogue", "show", "wrong", "--check", code=1)
    lines = shell("catalogue", "--check", code=1).splitlines()
    assert [line.split()[:2] for line in lines] == [["ok", "weight-gradient-law"], ["FAILED", "wrong"]]
    assert json.loads(shell("catalogue", "show", "wrong", "--json"))["passed"] is False


def test_an_unknown_key_is_one_line(shell):
    err = shell("catalogue", "show", "fuss", code=2)
    assert err.startswith("rmt catalogue: unknown entry 'fuss'")
    assert err.count("\n") == 1


def test_the_page_in_the_documentation_is_the_printed_one(shell):
    page = markdown()
    assert page == shell("catalogue", "--markdown")
    assert PAGE.read_text(encoding="utf-8") == page, "run: rmt catalogue --markdown > docs/catalogue.md"
    for key in catalogue.keys():  # noqa: SIM118
        assert f"`{key}`" in page


def test_the_command_is_registered():
    assert commands.COMMANDS["catalogue"] is commands.catalogue
