"""The report: one page, complete, self-contained, escaped, reproducible; and an early word on paths."""

import os
import re
from html.parser import HTMLParser

import pytest

import theory
import validation
from validation.cli import build_parser
from validation.commands import network_from
from validation.report import check_writable, report, reproduction

NET = theory.ResNet(depth=4, activation="relu", sigma_w=0.8, sigma_b=0.1)
VOID = {"meta", "img", "br"}


@pytest.fixture(scope="module")
def comparisons():
    chain = theory.Chain(depth=2, activation="hard_tanh", sigma_w=1.1, weights="orthogonal")
    made = []
    for net in (NET, chain):
        run = validation.Experiment(net, width=24, replicas=8, seed=11).run(workers=1)
        made.append(validation.compare(run, theory.jacobian_law(net)))
    return made


@pytest.fixture(scope="module")
def html(comparisons, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    assert report(comparisons, path, title="A <title> & more") == path
    return path.read_text(encoding="utf-8")


class Outline(HTMLParser):
    """Checks that elements are nested properly, and collects what matters."""

    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.links, self.sources, self.alternatives, self.seen = [], [], [], [], [], set()
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.seen.add(tag)
        if tag not in VOID:
            self.open.append(tag)
        if "id" in attributes:
            self.ids.append(attributes["id"])
        if "href" in attributes:
            self.links.append(attributes["href"])
        if "src" in attributes:
            self.sources.append(attributes["src"])
            self.alternatives.append(attributes.get("alt"))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_well_formed_and_self_contained(html):
    outline = Outline(html)
    assert len(set(outline.ids)) == len(outline.ids)
    assert {link.removeprefix("#") for link in outline.links} <= set(outline.ids)
    assert len(outline.sources) == 5  # two scales of two networks, and all together
    assert all(source.startswith("data:image/svg+xml;base64,") for source in outline.sources)
    assert all(outline.alternatives)
    assert not outline.seen & {"script", "link", "iframe"}
    assert not re.search(r"url\(|@import|https?://(?!www\.w3\.org)", html)
    assert len(html) < 1_000_000


def test_says_everything(html, comparisons):
    for comparison in comparisons:
        experiment = comparison.run.experiment
        for row in comparison.table():
            assert row.quantity in html
            assert f"{row.cells()[2]}</td>" in html
        for value in (f"{comparison.p_value:.2g}", str(experiment.seed), experiment.net.activation):
            assert value in html
        for number in comparison.run.metadata["versions"].values():
            assert number in html
    for word in ("passed", "Derivation", "<math", "LaTeX", "edge exponents", "outlier", "rmt validate resnet"):
        assert word in html
    assert "<title>A &lt;title&gt; &amp; more</title>" in html
    assert "<h1>A &lt;title&gt; &amp; more</h1>" in html


def test_same_comparisons_same_page(html, comparisons, tmp_path):
    assert report(comparisons, tmp_path / "again.html", title="A <title> & more").read_text(encoding="utf-8") == html


def test_failed_verdict_stands_out(tmp_path):
    run = validation.Experiment(NET, width=32, replicas=24, seed=3).run(workers=1)
    wrong = validation.compare(run, theory.jacobian_law(theory.ResNet(depth=4, activation="relu", sigma_w=2.0)))
    assert not wrong.passed
    text = report([wrong], tmp_path / "wrong.html").read_text(encoding="utf-8")
    assert "verdict fail" in text
    assert "FAILED" in text
    assert "verdict pass" not in text


def test_commands_reproduce_the_comparison(comparisons):
    for comparison in comparisons:
        code, command = reproduction(comparison)
        args = build_parser().parse_args(command.split()[1:])
        experiment = comparison.run.experiment
        assert network_from(args) == experiment.net
        assert (args.width, args.replicas, args.seed, args.q0) == (24, 8, 11, 1.0)
        names = {}
        exec(code.replace("print(", "again = (").replace(".run()", ".run(workers=1)"), names)
        assert names["again"].p_value == comparison.p_value
        assert names["run"].experiment == experiment


def test_what_the_shell_cannot_say_is_python_only():
    net = theory.Sequential([theory.Dense(sigma_w=1.1), theory.Activation("tanh")])
    run = validation.Experiment(net, width=16, replicas=8, seed=2, companion=False).run(workers=1)
    code, command = reproduction(validation.compare(run, theory.jacobian_law(net)))
    assert command is None
    assert "companion=False" in code
    assert "from theory import Activation, Dense, Sequential, jacobian_law" in code


def test_nothing_to_report(tmp_path):
    with pytest.raises(ValueError, match="comparisons is empty"):
        report([], tmp_path / "report.html")


def test_check_writable_leaves_no_trace(tmp_path):
    fresh = tmp_path / "new.html"
    assert check_writable(str(fresh)) == fresh
    assert not list(tmp_path.iterdir())
    fresh.write_text("kept", encoding="utf-8")
    before = fresh.stat().st_mtime_ns
    check_writable(fresh)
    assert fresh.read_text(encoding="utf-8") == "kept"
    assert fresh.stat().st_mtime_ns == before


def test_check_writable_refuses(tmp_path):
    with pytest.raises(ValueError, match="is a folder"):
        check_writable(tmp_path)
    with pytest.raises(ValueError, match="does not exist"):
        check_writable(tmp_path / "absent" / "report.html")
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="cannot be written"):
        check_writable(tmp_path / "file" / "report.html")
    if os.geteuid() != 0:
        tmp_path.chmod(0o500)
        with pytest.raises(ValueError, match="cannot be written"):
            check_writable(tmp_path / "report.html")
