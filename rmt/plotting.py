"""Pictures of laws. The only module of `rmt` that imports matplotlib; nothing is shown, saved or styled globally."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

if TYPE_CHECKING:
    from rmt.law import Law
    from rmt.results import Curve

__all__ = ["density_on_axis", "new_axes", "plot_atoms", "plot_field", "plot_histogram", "plot_law", "save"]

FloatArray = npt.NDArray[np.float64]


def new_axes(width: float = 6.0, height: float = 3.6) -> Axes:
    """Return the axes of a new figure of the given size in inches.

    The figure has the Agg canvas and is unknown to pyplot: no window, no global state, nothing to close.
    """
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure.add_subplot()


def save(axes: Axes, path: str | Path) -> None:
    """Write the figure of some axes to a file; the suffix chooses the format."""
    figure = axes.get_figure(root=True)
    if figure is None:
        raise ValueError("axes belong to no figure; draw on those that new_axes returned")
    figure.savefig(path)


def density_on_axis(curve: Curve, *, log: bool = False) -> tuple[FloatArray, FloatArray]:
    """Return positions and heights of the continuous part of a law, as drawn.

    Parameters
    ----------
    curve : Curve
        The law's curve.
    log : bool
        If true, only positive positions, and the density of ln x, which is ``x * pdf(x)``: the area under the curve on
        a logarithmic axis is then probability again, and a hard edge at zero is not hidden in one pixel.

    Returns
    -------
    positions, heights : arrays of shape (n,)
        Points whose density is not finite are left out (an integrable divergence at a hard edge, an unresolved point).
    """
    position, height = curve.x, curve.density
    keep = np.isfinite(height)
    if log:
        keep &= position > 0
        height = height * position
    return position[keep], height[keep]


def plot_law(
    law: Law,
    ax: Axes | None = None,
    *,
    singular_values: bool = False,
    log: bool = False,
    points: int = 400,
    curve: Curve | None = None,
    **line_kw: Any,
) -> Axes:
    """Draw the density of a law as a line and its atoms as stems.

    Parameters
    ----------
    law : Law
        The law to draw.
    ax : matplotlib Axes, optional
        Where to draw; a new figure outside pyplot if None.
    singular_values : bool
        Draw the law of ``sqrt(x)`` instead: a law of J Jᵀ becomes that of the singular values of J.
    log : bool
        Logarithmic horizontal axis, and the density of ln x on the vertical one (see `density_on_axis`).
    points : int
        Number of points of the curve.
    curve : Curve, optional
        The curve of what is drawn, where it is at hand already.
    **line_kw
        Passed to `Axes.plot`.

    Returns
    -------
    matplotlib Axes
        The axes that were drawn on, for more of the same.

    Raises
    ------
    ValueError
        If `singular_values` is asked of a law with negative support.
    """
    shown = law.sqrt() if singular_values else law
    axes = new_axes() if ax is None else ax
    position, height = density_on_axis(curve or shown.curve(points=points), log=log)
    color = line_kw.get("color", line_kw.get("c"))
    others = len(axes.lines) > 0
    if position.size:
        (line,) = axes.plot(position, height, **line_kw)
        line.sticky_edges.y.append(0.0)
        color = line.get_color()
    atoms = {float(x): float(mass) for x, mass in shown.support().atoms.items()}
    plot_atoms(axes, {x: mass for x, mass in atoms.items() if x > 0 or not log}, color=color)
    symbol = "s" if singular_values else "x"
    if log:
        _use_log_axis(axes)
        axes.set_ylabel(f"density of ln {symbol}")
    else:
        axes.set_ylabel("density")
        if position.size:
            top = _ceiling(position, height)
            axes.set_ylim(0.0, max(top, axes.get_ylim()[1]) if others else top)
    axes.set_xlabel("singular value s" if singular_values else "x")
    return axes


def plot_atoms(axes: Axes, atoms: dict[float, float], *, color: Any = None) -> None:
    """Draw atoms as stems of one height, each labelled with its mass: a mass cannot share the axis of a density."""
    transform = axes.get_xaxis_transform()
    for position, mass in atoms.items():
        axes.plot([position, position], [0.0, 0.86], transform=transform, color=color, linewidth=1.4)
        axes.plot([position], [0.86], transform=transform, color=color, marker="^", markersize=6, linestyle="none")
        axes.text(position, 0.9, f"mass {mass:.3g}", transform=transform, fontsize="small", va="bottom", ha="center",
                  bbox={"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 1.0})  # fmt: skip
    if atoms:
        axes.margins(x=0.1)  # the labels of the outermost stay inside


def plot_histogram(
    axes: Axes, samples: npt.ArrayLike, *, bins: int = 60, log: bool = False, total: float | None = None, **bar_kw: Any
) -> FloatArray:
    """Draw a histogram normalised like the densities of `plot_law`.

    Parameters
    ----------
    axes : matplotlib Axes
    samples : array-like
        The sampled values, of any shape; with `log`, only the positive ones are drawn.
    bins : int
        Number of bins over the range of the samples.
    log : bool
        Bins of equal width in ln x, heights per unit of ln x.
    total : float, optional
        Number of samples that the full mass stands for; give it where the samples at an atom were left out, so that
        the bars have the mass of the continuous part only. Default: all samples.
    **bar_kw
        Passed to `Axes.stairs`.

    Returns
    -------
    array of shape (bins + 1,)
        The bin edges, in x.

    Raises
    ------
    ValueError
        If no finite sample can be drawn.
    """
    values = np.asarray(samples, dtype=np.float64).ravel()
    count = values.size if total is None else total
    values = values[np.isfinite(values)]
    if log:
        values = np.log(values[values > 0])
    if not values.size:
        raise ValueError("samples: no finite sample (no positive one on a logarithmic axis) is left to draw")
    counts, edges = np.histogram(values, bins=bins)
    heights = counts / (count * np.diff(edges))
    if log:
        edges = np.exp(edges)
        _use_log_axis(axes)
    style = {"fill": True, "alpha": 0.35, "linewidth": 0.0} | bar_kw
    axes.stairs(heights, edges, **style)
    return np.asarray(edges, dtype=np.float64)


def plot_field(
    x: FloatArray,
    y: FloatArray,
    values: FloatArray,
    *,
    label: str,
    line: tuple[FloatArray, FloatArray],
    names: tuple[str, str],
    title: str,
    ax: Axes | None = None,
) -> Axes:
    """Draw a function of two parameters in colour, 0 in the middle of the scale, and a line over it; return the axes.

    Parameters
    ----------
    x, y : arrays of shape (m,) and (n,)
    values : array of shape (n, m)
        NaN stays white.
    label : str
        What the colour means.
    line : (x, y)
        Drawn in black.
    names : (str, str)
        Of the two axes.
    title : str
    ax : Axes, optional
        New if None.
    """
    axes = new_axes() if ax is None else ax
    size = float(np.nanmax(np.abs(values)))
    mesh = axes.pcolormesh(x, y, values, cmap="RdBu_r", vmin=-size, vmax=size, shading="nearest")
    figure = axes.get_figure(root=True)
    if figure is not None:
        figure.colorbar(mesh, ax=axes, label=label)
    axes.plot(*line, color="black")
    axes.set(xlabel=names[0], ylabel=names[1], title=title, xlim=(x[0], x[-1]), ylim=(y[0], y[-1]))
    return axes


def _use_log_axis(axes: Axes) -> None:
    """Logarithmic horizontal axis, labelled 0.5, 1, 2 where it is short and by powers of ten where it is long."""

    def label(x: float, _position: int | None) -> str:
        lower, upper = axes.get_xlim()
        return f"{x:g}" if upper < 300.0 * lower or f"{x:e}".startswith("1.000000") else ""

    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(label))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _ceiling(position: FloatArray, height: FloatArray) -> float:
    """Top of the vertical axis: the maximum, or, where the density diverges, what leaves the bulk readable."""
    top = float(height.max())
    # mean height over the middle of the mass: a divergence adds little mass, hence cannot move it much
    mass = np.concatenate([[0.0], np.cumsum(np.diff(position) * (height[1:] + height[:-1]) / 2)])
    if mass[-1] <= 0:
        return 1.05 * top if top > 0 else 1.0
    left, right = np.interp([0.1, 0.9], mass / mass[-1], position)
    typical = 0.8 * float(mass[-1]) / max(float(right - left), math.ulp(1.0))
    return 1.05 * min(top, 8.0 * typical)
