"""Pictures draw what they say: densities, atoms, histograms of the same normalisation; no pyplot, no global state."""

import json
import subprocess
import sys

import numpy as np
import pytest
from matplotlib.axes import Axes

import rmt
from rmt.plotting import new_axes, plot_histogram, plot_law


def drawn_line(axes):
    return np.asarray(axes.lines[0].get_xdata()), np.asarray(axes.lines[0].get_ydata())


def test_density_in_linear_scale():
    law = rmt.MarchenkoPastur(ratio=0.3)
    axes = plot_law(law, color="black", linewidth=2)
    assert isinstance(axes, Axes)
    x, y = drawn_line(axes)
    assert len(x) > 100
    np.testing.assert_allclose(y, law.pdf(x), atol=1e-8)
    assert axes.lines[0].get_linewidth() == 2
    assert axes.get_xlabel()
    assert axes.get_ylabel()


def test_density_of_the_logarithm():
    law = rmt.MarchenkoPastur(ratio=0.3)
    axes = plot_law(law, singular_values=True, log=True)
    s, y = drawn_line(axes)
    assert axes.get_xscale() == "log"
    # density of ln s, from the law of s²
    np.testing.assert_allclose(y, 2 * s**2 * law.pdf(s**2), atol=1e-7)


def test_draws_on_the_axes_it_is_given_and_law_plot_is_the_same():
    axes = new_axes()
    assert plot_law(rmt.Semicircle(variance=2, mean=1), ax=axes) is axes
    law = rmt.Semicircle(variance=2, mean=1)
    np.testing.assert_array_equal(drawn_line(law.plot())[1], drawn_line(axes)[1])


def test_atoms_are_stems_with_their_mass():
    axes = plot_law(rmt.MarchenkoPastur(ratio=4))
    assert [text.get_text().strip() for text in axes.texts] == ["mass 0.75"]
    assert plot_law(rmt.Discrete({-1: 0.25, 2: 0.75})).texts[1].get_position()[0] == 2
    # zero has no place on a logarithmic axis
    assert not plot_law(rmt.MarchenkoPastur(ratio=4), log=True).texts


def test_divergence_at_the_hard_edge_leaves_the_bulk_readable():
    axes = plot_law(rmt.FussCatalan(order=3))
    _, y = drawn_line(axes)
    assert y.max() > 2 * axes.get_ylim()[1]


@pytest.mark.parametrize("log", [False, True])
def test_histogram_has_the_mass_of_its_samples(log):
    values = np.random.default_rng(5).gamma(3.0, size=(20, 50))
    axes = new_axes()
    edges = plot_histogram(axes, values, bins=17, log=log, total=2000)
    (patch,) = axes.patches
    heights = patch.get_data().values
    widths = np.diff(np.log(edges) if log else edges)
    assert edges.shape == (18,)
    assert heights @ widths == pytest.approx(0.5)


def test_histogram_of_nothing():
    with pytest.raises(ValueError, match="samples"):
        plot_histogram(new_axes(), np.full(3, np.nan))
    with pytest.raises(ValueError, match="positive"):
        plot_histogram(new_axes(), [0.0, 0.0], log=True)


# the key "backend" is left alone: asking for it makes matplotlib choose one, with pyplot
PICTURES = """
import json, sys
import matplotlib
import rmt
from rmt.plotting import new_axes, plot_histogram, save

def settings():
    return {key: str(matplotlib.rcParams[key]) for key in matplotlib.rcParams if key != "backend"}

before = settings()
axes = rmt.MarchenkoPastur(ratio=4).plot()
plot_histogram(axes, [0.5, 1.0, 2.0], bins=3)
save(axes, sys.argv[1])
after = settings()
changed = [key for key in before if after[key] != before[key]]
print(json.dumps({"lines": len(axes.lines), "pyplot": "matplotlib.pyplot" in sys.modules, "changed": changed}))
"""


def test_pyplot_stays_unloaded(tmp_path):
    picture = tmp_path / "law.svg"
    ran = subprocess.run([sys.executable, "-c", PICTURES, str(picture)], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    assert found["lines"] >= 1  # something was drawn
    assert "<svg" in picture.read_text(encoding="utf-8")
    assert not found["pyplot"]
    assert found["changed"] == []
