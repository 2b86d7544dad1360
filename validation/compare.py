"""Is a sample of finite networks compatible with a law at infinite width? A verdict with a stated false-alarm rate."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from rmt.law import Law
from theory.network import Layer
from theory.outlier import outlier as predict_outlier
from validation.comparison import Comparison, Row
from validation.coordinate import ATOM_WIDTH, BulkCoordinate
from validation.quadrature import WidthQuadrature
from validation.run import Run
from validation.samples import WidthSample
from validation.statistics import (
    estimate,
    extrapolation_weights,
    mean_test,
    multiplier_norms,
    student_p_value,
)
from validation.summary import WidthSummary

__all__ = ["compare"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

MIN_REPLICAS = 8
MAX_SHAPE_COMPONENTS = 6
REPLICAS_PER_COMPONENT = 4
MOMENTS = 4
GRID = 256
# Of the correction made by extrapolation, the part (times width^-1/2) that the next order may contribute.
NEXT_ORDER = 2.0
# Largest eigenvalue apart from the second by this many times the gap that follows: an outlier. At the edge of a bulk
# without one, the mean gaps have a ratio of about 1.5.
OUTLIER_GAP_RATIO = 5.0


def compare(
    run: Run,
    law: Law,
    *,
    alpha: float = 1e-6,
    outlier: float | Literal["predict"] | None = "predict",
    outlier_tolerance: float = 0.01,
    bias_allowance: float = 3.0,
    name: str | None = None,
) -> Comparison:
    """Compare sampled spectra with a law, and judge.

    The verdict. Every eigenvalue is mapped to [0, 1] by the law's own distribution function; averages of K cosines over
    the spectrum of one replica are the components of its shape vector (`validation.coordinate` says why these). Under
    the law their expectation at infinite width is known exactly. The vectors are extrapolated in 1/width with the
    companions' (``2 t_N - t_{N/2}``, or by least squares to the second order from three widths or more; replica by
    replica, so errors add up by themselves), and Hotelling's test over replicas asks whether the mean is the expected
    one. The next order in 1/width is allowed for by a systematic error of ``2/sqrt(width)`` of the correction made
    last. Without a companion the first order itself is allowed for, `bias_allowance`/width per component, and the
    verdict loses power accordingly. If an outlier is predicted, its
    position is tested likewise (Student's t, after `outlier_tolerance`), and the p-value is twice the smaller of both.

    What the verdict does not use stands in the table beside it: moments, the mean of log x (the log-determinant),
    edges, masses of atoms, and the distances Kolmogorov–Smirnov and Wasserstein-1, each with its error over replicas.

    Of quadratures (`validation.quadrature`) all averages are weighted, edges and distances are left out. Of a run that
    kept summaries, shapes and distances are taken over groups of replicas; `validation.summary` says what binning
    costs.

    Parameters
    ----------
    run : Run
        At least 8 replicas; of a run still going on, what `Experiment.stream` gives.
    law : Law
        Law of J Jᵀ, of squared singular values.
    alpha : float
        Probability that a correct law fails.
    outlier : float, "predict" or None
        Eigenvalue expected above the bulk; by default `theory.outlier` of the run's network, where it has an answer.
    outlier_tolerance : float
        Relative accuracy of that prediction.
    bias_allowance : float
        Used only for a run without companion: standard deviation, in units of 1/width, of the bias that is forgiven per
        component. Biases of 0.5 (Gaussian chains, residual networks) to 4 (a ReLU chain of depth 3) were measured.
    name : str, optional
        What is compared; by default the network's description.

    Returns
    -------
    Comparison

    Raises
    ------
    ValueError
        If there are too few replicas, `alpha` is not in (0, 1), or the law has negative support.
    """
    if not 0.0 < alpha < 1.0:
        raise ValueError(f"alpha={alpha!r} must be in (0, 1); it is the probability that a correct law fails")
    if run.experiment.values != "all":
        raise ValueError("run has the extreme singular values alone; a verdict needs Experiment(values='all')")
    replicas = run.samples[0].replicas
    if replicas < MIN_REPLICAS:
        raise ValueError(f"run has {replicas} replicas; a verdict needs at least {MIN_REPLICAS}: raise replicas=")
    spectra = _Spectra.of(run)
    coordinate = BulkCoordinate(law, smallest=spectra.smallest, floor=spectra.floor)
    predicted, notes = _predicted_outlier(run, outlier)
    notes = _notes(spectra, bias_allowance) + notes

    components = min(MAX_SHAPE_COMPONENTS, len(spectra.group_sizes) // REPLICAS_PER_COMPONENT)
    shapes, expected_shapes = zip(
        *(sample.shape_vectors(coordinate, components) for sample in spectra.samples), strict=True
    )
    allowance = _allowance(shapes, spectra, bias_allowance)
    bulk = mean_test(spectra.extrapolate(shapes), expected_shapes[0], allowance, spectra.group_sizes)

    has_outlier = predicted is not None or spectra.top_stands_apart()
    top = estimate(spectra.extrapolate([sample.largest(1)[:, 0] for sample in spectra.samples]))
    rows: list[Row] = []
    outlier_p_value = math.nan
    if predicted is not None:
        z = top.z(predicted, outlier_tolerance * predicted)
        outlier_p_value = student_p_value(z, replicas)
        rows.append(Row("outlier", predicted, top.value, top.error, z, top.replicas))
    elif has_outlier:
        rows.append(Row("outlier", math.nan, top.value, top.error, math.nan, top.replicas))
    p_value = bulk.p_value if math.isnan(outlier_p_value) else min(1.0, 2.0 * min(bulk.p_value, outlier_p_value))
    rows += _moment_rows(law, spectra, has_outlier)
    rows += _log_determinant_rows(law, spectra)
    rows += _atom_rows(coordinate, spectra)
    if not spectra.has_quadratures:
        rows += _edge_rows(law, spectra, has_outlier)
        rows += _distance_rows(coordinate, spectra)
    return Comparison(
        run=run,
        law=law,
        name=repr(run.experiment.net) if name is None else name,
        alpha=alpha,
        p_value=p_value,
        bulk=bulk,
        outlier_p_value=outlier_p_value,
        outlier=predicted,
        has_outlier=has_outlier,
        rows=tuple(rows),
        notes=notes,
    )


@dataclass(frozen=True, eq=False)
class _Spectra:
    """The samples at every width, the widest first, and what holds for all of them."""

    widths: tuple[int, ...]
    samples: tuple[WidthSample | WidthSummary | WidthQuadrature, ...]
    group_sizes: IntArray
    smallest: float
    floor: float
    unresolved: int

    @classmethod
    def of(cls, run: Run) -> _Spectra:
        unresolved = sum(int((sample.rank - sample.resolved).sum()) for sample in run.samples)
        floor = max(float(np.exp(2.0 * sample.log_floor.max())) for sample in run.samples) if unresolved else 0.0
        resolutions = [sample.resolution(floor) for sample in run.samples]
        return cls(
            widths=tuple(sample.width for sample in run.samples),
            samples=run.samples,
            group_sizes=run.samples[0].group_sizes,
            smallest=min(smallest for smallest, _ in resolutions),
            floor=max(floor for _, floor in resolutions),
            unresolved=unresolved,
        )

    @property
    def has_quadratures(self) -> bool:
        """Whether single eigenvalues are not known at some width."""
        return len(self.spectra) < len(self.samples)

    @property
    def spectra(self) -> tuple[WidthSample | WidthSummary, ...]:
        """The samples that know single eigenvalues."""
        return tuple(sample for sample in self.samples if not isinstance(sample, WidthQuadrature))

    @property
    def rank_fluctuates(self) -> bool:
        """Whether the atom at zero has a mass of its own in every replica."""
        return bool(np.ptp(self.samples[0].rank) > 0)

    def extrapolate(
        self, values: Sequence[FloatArray], exponent: float = 1.0, *, logarithm: bool = False
    ) -> FloatArray:
        """The limit in powers of width^-exponent, row by row; the first axis of each array is the replica or group."""
        weights = extrapolation_weights(self.widths, exponent, logarithm=logarithm)
        total: FloatArray = weights[0] * values[0]
        for weight, value in zip(weights[1:], values[1:], strict=True):
            total = total + weight * value
        return total

    def mean(self, values: FloatArray) -> FloatArray:
        """Mean over all replicas of rows that are means over groups."""
        mean: FloatArray = self.group_sizes @ values / self.group_sizes.sum()
        return mean

    def top_stands_apart(self) -> bool:
        """Whether the largest eigenvalue of the widest networks is an outlier, by its gap to the second."""
        top = self.samples[0].largest(3)
        if top.shape[1] < 3 or not (top > 0.0).all():
            return False
        first, second = -np.diff(np.log(top), axis=1).mean(axis=0)
        # gaps of rounding size belong to an atom
        return bool(first > OUTLIER_GAP_RATIO * second and second > ATOM_WIDTH)


def _allowance(shapes: Sequence[FloatArray], spectra: _Spectra, bias_allowance: float) -> FloatArray:
    """Systematic error of the mean shape vector at infinite width: a part of the last correction that was made."""
    widths = spectra.widths
    if len(widths) == 1:
        return np.full(shapes[0].shape[1], bias_allowance / widths[0])
    limit = spectra.mean(spectra.extrapolate(shapes))
    if len(widths) == 2:
        before = spectra.mean(shapes[0])
    else:  # the widest two alone, of the first order
        weights = extrapolation_weights(widths[:2])
        before = spectra.mean(weights[0] * shapes[0] + weights[1] * shapes[1])
    correction = np.abs(limit - before)
    # a component may have a small correction by accident: it is allowed what the others have
    typical = math.sqrt(float(np.mean(correction**2)))
    allowance: FloatArray = NEXT_ORDER / math.sqrt(widths[0]) * np.maximum(correction, typical)
    return allowance


def _predicted_outlier(run: Run, outlier: float | str | None) -> tuple[float | None, tuple[str, ...]]:
    if outlier is None:
        return None, ()
    if outlier != "predict":
        try:
            return float(outlier), ()
        except ValueError:
            raise ValueError(f"outlier={outlier!r} must be a number, 'predict' or None") from None
    experiment = run.experiment
    if not isinstance(experiment.net, Layer):
        return None, ("no prediction of an outlier: the module could not be read as a network",)
    square = experiment.q0 if experiment.x is None else float(np.mean(np.square(experiment.x)))
    try:
        return predict_outlier(experiment.net, square), ()
    except (NotImplementedError, ValueError) as error:
        return None, (f"no prediction of an outlier: {error}",)


def _notes(spectra: _Spectra, bias_allowance: float) -> tuple[str, ...]:
    width = spectra.widths[0]
    if len(spectra.widths) > 1:
        others = ", ".join(str(narrower) for narrower in spectra.widths[1:-1])
        widths = f"{width}, {others} and {spectra.widths[-1]}" if others else f"{width} and {spectra.widths[-1]}"
        notes = [f"sample values are extrapolated to infinite width from widths {widths}"]
        if spectra.rank_fluctuates:
            notes.append(
                "the rank fluctuates, so the distances keep a bias of order width^(-1/2) near the atom at zero"
            )
    else:
        notes = [
            f"one width ({width}): sample values are biased by O(1/width), of which the verdict forgives "
            f"{bias_allowance:g}/{width} per component; a companion width would remove it"
        ]
    if isinstance(spectra.samples[0], WidthSummary):
        groups = len(spectra.group_sizes)
        notes.append(f"the run kept summaries: shapes and distances are over {groups} groups of replicas")
    if spectra.unresolved:
        notes.append(
            f"{spectra.unresolved} non-zero eigenvalues are below the floor {spectra.floor:.1e} of double precision "
            "and count as 'at most the floor'"
        )
    if spectra.has_quadratures:
        notes.append(
            "averages over each spectrum are quadratures in a random direction, which tell no edges and no distances"
        )
    return tuple(notes)


def _row(
    quantity: str,
    expected: float,
    spectra: _Spectra,
    values: Sequence[FloatArray],
    exponent: float = 1.0,
    *,
    logarithm: bool = False,
) -> Row:
    """A row of values, one a replica or group, extrapolated; without z where the widths are too few to remove the bias.

    With `logarithm` the bias has a term log(width)/width besides.
    """
    limit = spectra.extrapolate(values, exponent, logarithm=logarithm)
    sample = estimate(limit, spectra.group_sizes if len(limit) == len(spectra.group_sizes) else None)
    z = sample.z(expected) if len(spectra.widths) > (2 if logarithm else 1) else math.nan
    return Row(quantity, expected, sample.value, sample.error, z, sample.replicas)


def _moment_rows(law: Law, spectra: _Spectra, has_outlier: bool) -> list[Row]:
    """Moments of the bulk: an outlier contributes nothing at infinite width, but much of the noise at finite width."""
    moments = [sample.moments(MOMENTS, without_largest=has_outlier) for sample in spectra.samples]
    return [
        _row(f"m_{k + 1}", float(expected), spectra, [column[:, k] for column in moments])
        for k, expected in enumerate(law.moments(MOMENTS))
    ]


def _log_determinant_rows(law: Law, spectra: _Spectra) -> list[Row]:
    """E log x = log det(J Jᵀ)/n_out, where all eigenvalues are resolved and none is zero.

    Above a hard edge at zero the smallest eigenvalues make a bias of log(width)/width (of a Gaussian matrix: the sum of
    1/i in the expectations of log chi²), for which a third width is needed.
    """
    if spectra.unresolved or any((sample.rank < sample.n_out).any() for sample in spectra.samples):
        return []
    intervals = law.support().intervals
    hard = bool(intervals) and float(intervals[0][0]) <= 0.0
    values = [sample.log_determinants() for sample in spectra.samples]
    return [_row("mean log", law.log_moment(), spectra, values, logarithm=hard)]


def _edge_rows(law: Law, spectra: _Spectra, has_outlier: bool) -> list[Row]:
    """Mean extreme eigenvalues of the bulk, extrapolated in width^(-2/3) (Tracy–Widom), beside the soft edges."""
    edges = [edge for edge in law.support().edges if edge.exponent is not None and float(edge.exponent) == 0.5]
    atoms = [float(position) for position in law.support().atoms]
    rows = []
    for quantity, extreme in (("lower edge", min), ("upper edge", max)):
        ends = [float(edge.position) for edge in law.support().edges]
        position = extreme(ends, default=math.nan)
        if not any(float(edge.position) == position for edge in edges) or position <= spectra.floor:
            continue
        if any(extreme(position, atom) == atom for atom in atoms if atom > 0.0):
            continue  # the extreme eigenvalue is then the atom's
        if extreme is min and spectra.rank_fluctuates:
            continue  # the smallest ones are then on their way to zero
        if extreme is max:
            values = [sample.largest(2)[:, int(has_outlier)] for sample in spectra.spectra]
        else:
            values = [sample.smallest_positive() for sample in spectra.spectra]
        rows.append(_row(quantity, position, spectra, values, exponent=2.0 / 3.0))
    return rows


def _atom_rows(coordinate: BulkCoordinate, spectra: _Spectra) -> list[Row]:
    """Fractions of the spectrum at the atoms; at zero from the ranks, whose fluctuation makes the bias width^(-1/2)."""
    rows = []
    if coordinate.zero_mass > 0.0 or any((sample.rank < sample.n_out).any() for sample in spectra.samples):
        zeros = [1.0 - sample.rank / sample.n_out for sample in spectra.samples]
        rows.append(_row("mass at 0", coordinate.zero_mass, spectra, zeros, 0.5 if spectra.rank_fluctuates else 1.0))
    for position, mass in coordinate.atoms.items():
        at_atom = [sample.fraction_at(position) for sample in spectra.samples]
        rows.append(_row(f"mass at {position:.6g}", mass, spectra, at_atom))
    return rows


def _distance_rows(coordinate: BulkCoordinate, spectra: _Spectra) -> list[Row]:
    """Kolmogorov–Smirnov and Wasserstein-1 distance over the law's support, at infinite and at finite width.

    At infinite width: of the extrapolated mean distribution function, beside what noise alone gives (multiplier
    bootstrap). At finite width: of the pooled spectrum, with jackknife errors; it contains the bias of finite width.
    """
    levels = (np.arange(GRID) + 0.5) / GRID
    x = spectra.spectra[0].grid(np.unique(coordinate.quantile(levels[levels > coordinate.floor_position])))
    for atom in coordinate.atoms:  # distribution functions are compared on either side of a step, not on it
        x = x[np.abs(x - atom) > ATOM_WIDTH * atom]
    if len(x) < 2:
        return []
    steps = np.gradient(x)
    expected = coordinate.zero_mass + (1.0 - coordinate.zero_mass) * coordinate(x)
    curves = [sample.distribution_functions(x) - expected for sample in spectra.spectra]
    rows = []
    if len(spectra.widths) > 1:
        limit = spectra.extrapolate(curves)
        deviation = np.abs(spectra.mean(limit))
        null_sup, null_l1 = multiplier_norms(limit, steps, spectra.group_sizes)
        for quantity, value, null in (
            ("KS distance", float(deviation.max()), null_sup),
            ("W1 distance", float(deviation @ steps), null_l1),
        ):
            mean, spread = float(null.mean()), float(null.std())
            rows.append(Row(quantity, mean, value, spread, (value - mean) / spread if spread > 0.0 else math.nan))
    for quantity, norm in (("KS", _supremum), ("W1", lambda curve: np.abs(curve) @ steps)):
        value, error = _jackknife(curves[0], spectra.group_sizes, norm)
        rows.append(Row(f"{quantity} at width {spectra.widths[0]}", math.nan, value, error, math.nan))
    return rows


def _supremum(curve: FloatArray) -> Any:
    return np.abs(curve).max(axis=-1)


def _jackknife(curves: FloatArray, sizes: IntArray, norm: Callable[[FloatArray], Any]) -> tuple[float, float]:
    """Norm of the mean curve and its jackknife error over replicas or groups."""
    rows, total = len(curves), sizes.sum()
    mean = sizes @ curves / total
    left_out = norm((total * mean - sizes[:, None] * curves) / (total - sizes)[:, None])
    error = math.sqrt((rows - 1) / rows * float(np.sum((left_out - left_out.mean()) ** 2)))
    return float(norm(mean)), error
