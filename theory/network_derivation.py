"""Derivation of the law of any composition of layers at finite depth: one S-transform a layer, and they multiply.

The block formula: a residual block is |a O + Y|² of its branch Y, and a branch is again a composition. Pre-activations
are Gaussian; activations whose slopes take finitely many values have a closed S-transform, those of the others have one
auxiliary unknown each. This module loads sympy: import it inside functions only.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import sympy as sp

from rmt import series
from rmt.algebra.gated import gated_moments
from rmt.laws.discrete import Discrete
from rmt.parameters import is_symbolic
from rmt.results import PreconditionError
from rmt.symbolic.derivation import Derivation, Step, m, to_sympy
from rmt.symbolic.products import Factors, merge, to_expression
from rmt.symbolic.routes import derive_from_s
from rmt.symbolic.s_algebra import (
    STransform,
    multiply_transforms,
    raise_transform,
    residual_transform,
    scale_transform,
    widen_transform,
)
from rmt.symbolic.s_transforms import s_transform
from theory.activation_formulas import ActivationFormulas, activation_formulas, gaussian_average, parameter, q
from theory.gate_formulas import GateFormulas
from theory.jacobian import check_gates
from theory.network import (
    Activation,
    Architecture,
    BatchNorm,
    Dense,
    Dropout,
    Gate,
    Layer,
    LayerNorm,
    Repeat,
    Residual,
    ResNet,
    Scale,
    Sequential,
    width_ratio,
)
from theory.weights import is_isometric, weights_law

__all__ = ["derive_network"]

PASTUR = "Pennington, Schoenholz, Ganguli 2018, arXiv:1802.09979; Pastur 2020, arXiv:2001.06188"
Diagonal = Activation | Scale | Dropout | LayerNorm | BatchNorm
_S = sp.Function("S")


def derive_network(net: Layer) -> Derivation:
    """Derivation of a network at its own depth; see `theory.derive`."""
    check_gates(net)
    count, gates = (sum(1 for _ in _all_of(kind, net)) for kind in (Activation, Gate))
    walk = _Walk(count, gates)
    transform = walk.transform([_exact(net)])
    # with a gate, whose second diagonal takes all values, the support has no edge but 0
    derivation = derive_from_s(repr(net), transform, edges=() if walk.gates else None)
    steps = (*_network_steps(net), *walk.signal, *derivation.steps)
    return replace(
        derivation,
        subject=repr(net),
        steps=steps,
        definitions=tuple(walk.definitions),
        criterion=sp.Eq(transform.mean, 1, evaluate=False),
    )


@dataclass
class _Walk:
    """What is met on the way through the layers."""

    count: int
    gates: int
    definitions: list[Any] = field(default_factory=list)
    signal: list[Step] = field(default_factory=list)
    met: int = 0
    gates_met: int = 0
    norms: int = 0
    dense: Dense | None = None
    after_diagonal: bool = False

    def transform(self, layers: Iterable[Layer]) -> STransform:
        """S-transform of a composition; neighbouring diagonal layers commute, and are one factor."""
        parts: list[STransform] = []
        for diagonal, run in itertools.groupby(_flat(layers), lambda layer: isinstance(layer, Diagonal)):
            if diagonal:
                parts.append(self._diagonal(list(run)))
                continue
            for layer in run:
                if isinstance(layer, Dense) and layer.width_ratio != 1:
                    before = multiply_transforms(parts) if len(parts) > 1 else parts[0] if parts else _IDENTITY
                    widened = widen_transform(
                        before, parameter(layer.width_ratio), isometric=is_isometric(layer.weights)
                    )
                    parts = [scale_transform(widened, _variance(layer))]
                    self.dense, self.after_diagonal = layer, False
                else:
                    parts.append(self._of(layer))
        return parts[0] if len(parts) == 1 else multiply_transforms(parts)

    def _of(self, layer: Layer) -> STransform:
        match layer:
            case Dense():
                self.dense, self.after_diagonal = layer, False
                return _dense(layer)
            case Gate():
                self.dense, self.after_diagonal = None, False
                return self._gate(layer)
            case Residual():
                branch = self.transform(layer.branch)
                self.after_diagonal = False  # the block is bi-invariant
                skip = abs(parameter(layer.skip)) if not is_symbolic(layer.skip) else parameter(layer.skip)
                return branch if skip == 0 else residual_transform(branch, skip)
            case Repeat():
                inner, times = self.transform(layer.layers), parameter(layer.times)
                if times != 1 and self.after_diagonal and isinstance(next(_flat(layer.layers)), Activation | Dropout):
                    raise NotImplementedError("a repeated sequence that begins and ends with a diagonal layer")
                return inner if times == 1 else raise_transform(inner, times)
            case _:
                raise NotImplementedError(
                    f"{type(layer).__name__} has no S-transform here: ask theory.jacobian_law(net) for its law"
                )

    def _diagonal(self, run: list[Any]) -> STransform:
        """One factor D² of a run of diagonal layers, of which at most one is an activation."""
        slopes = [layer for layer in run if isinstance(layer, Activation | Dropout)]
        if sum(isinstance(layer, Activation) for layer in run) > 1 or (slopes and self.after_diagonal):
            raise NotImplementedError(
                "diagonal layers that meet across a Repeat, or two activations without weights between them, commute "
                "and are not free: put the layers into one sequence, or ask theory.jacobian_law(net)"
            )
        self.after_diagonal = bool(slopes)
        factor, kept = sp.Integer(1), sp.Integer(1)
        activation: Activation | None = None
        for layer in run:
            match layer:
                case Activation():
                    activation = layer
                case Scale():
                    factor *= parameter(layer.factor) ** 2
                case Dropout():
                    rate = parameter(layer.rate)
                    kept, factor = kept * (1 - rate), factor / (1 - rate) ** 2
                case _:  # a normalisation divides by the standard deviation of the signal
                    self.norms += 1
                    factor /= sp.Symbol(f"v_{self.norms}", positive=True)
        if activation is not None:
            transform = self._activation(activation, kept)
        else:
            transform = s_transform(Discrete({0: 1 - kept, 1: kept})) if kept != 1 else _constant(factor, "Scale")
        return transform if factor == 1 or (activation is None and kept == 1) else scale_transform(transform, factor)

    def _activation(self, layer: Activation, kept: Any) -> STransform:
        """S of φ'(h)² where dropout keeps a share of the components."""
        self.met += 1
        label = "" if self.count == 1 else f"_{self.met}"
        own = sp.Symbol(f"q{label}", positive=True)
        formulas = activation_formulas(layer.nonlinearity)
        if self.dense is not None:
            bias, weight = parameter(self.dense.sigma_b), parameter(self.dense.sigma_w)
            mean_square = sp.Symbol(f"X{label}", positive=True)
            self.signal.append(
                Step(
                    f"Signal at the {layer.name} layer" + (f" {self.met}" if label else ""),
                    sp.Eq(own, bias**2 + weight**2 * mean_square, evaluate=False),
                    f"Pre-activations are N(0, ${own}$), ${mean_square}$ the mean square of the inputs, propagated "
                    "layer by layer (theory.propagate); where a layer is repeated, at its fixed point, unless the "
                    "slopes do not depend on it.",
                    "Poole et al. 2016; Schoenholz et al. 2017",
                )
            )
        if formulas.slope_masses is None:
            return self._smooth(formulas, own, label, kept)
        masses = {x: mass.subs(q, own) for x, mass in formulas.slope_masses.items()}
        one = sp.Integer(1)
        if masses[one].has(own):
            p = sp.Symbol(f"p{label}", positive=True)
            self.definitions.append(sp.Eq(p, masses[one], evaluate=False))
            masses = {sp.Integer(0): 1 - p, one: p}
        if kept != 1:
            masses = {x: kept * mass for x, mass in masses.items()}
            masses[sp.Integer(0)] = masses.get(sp.Integer(0), sp.Integer(0)) + 1 - kept
        if set(masses) == {one}:
            return _constant(one, "Slopes of the linear activation")
        return s_transform(Discrete(masses))

    def _smooth(self, formulas: ActivationFormulas, own: Any, label: str, kept: Any) -> STransform:
        """S of φ'(h)²: by definition, with its own spectral variable w as an unknown."""
        w = sp.Symbol(f"w{label}")
        psi = kept * gaussian_average(formulas.slope**2 / (w - formulas.slope**2)).subs(q, own)
        one = sp.Integer(1)
        factors: Factors = ((1 + m, one), (m, -one), (w, -one))

        def moment(k: int) -> Any:
            name = sp.Symbol(f"mu_{k}{label}", positive=True)
            # closed forms stay in the definitions: formulas in mu_k are short, and quick to expand
            definition = sp.Eq(name, formulas.moment(k).subs(q, own), evaluate=False)
            if definition not in self.definitions:
                self.definitions.append(definition)
            return kept * name

        mean = moment(1)

        def coefficients(n: int) -> list[Any]:
            normalised = [moment(k) / mean**k for k in range(1, n + 1)]
            return [to_sympy(x) for x in series.moments_to_s_series(normalised)]

        constraint = sp.Eq(m, psi, evaluate=False)
        steps = (
            Step("Moment transform of the slopes", constraint, "$m = w G(w) - 1$ of $φ'(h)^2$.", "definition"),
            Step(
                "S-transform of the slopes",
                sp.Eq(_S(m), (1 + m) / (m * w), evaluate=False),
                "By definition, with $w(m)$ the solution that tends to infinity as $m$ tends to 0.",
                "derived here",
                constraint,
            ),
        )
        return STransform(
            factors, mean, coefficients, steps, constraints={w: constraint}, starts={w: mean / m}
        )

    def _gate(self, layer: Gate) -> STransform:
        """S of a gated layer: by the Dyson equation of its two diagonals, with y and t as unknowns."""
        self.gates_met += 1
        label = "" if self.gates == 1 else f"_{self.gates_met}"
        f = GateFormulas(layer, label)
        self.signal.append(
            Step(
                "Pre-activations of the gated layer" + (f" {self.gates_met}" if label else ""),
                f.signal,
                f"${sp.latex(f.x_variance)}$ is the mean square of the inputs (theory.propagate).",
                "Poole et al. 2016; Schoenholz et al. 2017",
            )
        )
        y, t, s = sp.Symbol(f"y{label}"), sp.Symbol(f"t{label}"), f.strength
        den = y - f.skip**2 - t * f.square
        first, second = f.average(1 / den), f.average(f.square / den)
        one = sp.Integer(1)
        factors: Factors = ((t, one), (y, -one), (m, -one), (s, -one))
        rise = 1 + s * second
        if f.haar:
            factors, rise = (*factors, (1 + t * second, one)), rise + t * second
        constraints = {
            y: sp.Eq(1 + m, y * first, evaluate=False),
            t: sp.Eq(t * rise, s * (1 + m), evaluate=False),
        }

        def joint(i: int, j: int) -> Any:
            if i == j == 0:
                return one
            name = sp.Symbol(f"mu_{i}{j}{label}", positive=True)
            definition = sp.Eq(name, f.average(f.skip ** (2 * i) * f.square**j), evaluate=False)
            if definition not in self.definitions:
                self.definitions.append(definition)
            return name

        mean = joint(1, 0) + s * joint(0, 1)

        def coefficients(n: int) -> list[Any]:
            moments = gated_moments(joint, s, n, f.haar)
            return [to_sympy(x) for x in series.moments_to_s_series([x / mean**k for k, x in enumerate(moments, 1)])]

        steps = (
            Step(
                "Jacobian of the gated layer",
                f.jacobian,
                "The gate has a slope too. The input is one of many to the pre-activations, and independent of them.",
                "derived here",
            ),
            Step(
                "Dyson equation",
                tuple(constraints.values()),
                "Of the hermitised matrix, whose self-energies are scalars; $<.>$ are averages over both diagonals, "
                "$y = z/(1 + s B)$ with $B$ that of $D_2^2/(y - D_1^2 - t D_2^2)$"
                + (", and $s$ divided by $1 + t B$ for Haar weights." if f.haar else "."),
                "derived here",
                f.jacobian,
            ),
            Step(
                "S-transform of the gated layer",
                sp.Eq(_S(m), to_expression(factors), evaluate=False),
                "$G = t/(s y)$, and $S = G/m$.",
                "derived here",
                tuple(constraints.values()),
            ),
        )
        return STransform(
            factors, mean, coefficients, steps, constraints=constraints, starts={y: mean / m, t: s}
        )


def _flat(layers: Iterable[Layer]) -> Iterator[Layer]:
    """The layers with sequences opened, and repetitions that change the width."""
    for layer in layers:
        match layer:
            case Sequential():
                yield from _flat(layer.layers)
            case Architecture():
                yield from _flat((_exact(layer),))
            case Repeat() if width_ratio(layer.layers) != 1:
                if is_symbolic(layer.times):
                    raise NotImplementedError(f"a change of width repeated {layer.times} times: give a number")
                for _ in range(int(layer.times)):
                    yield from _flat(layer.layers)
            case _:
                yield layer


def _dense(layer: Dense) -> STransform:
    if is_isometric(layer.weights):
        return _constant(_variance(layer), "Orthogonal weights")
    return scale_transform(s_transform(weights_law(layer.weights)), _variance(layer))


def _variance(layer: Dense) -> Any:
    variance = parameter(layer.sigma_w) ** 2
    if variance == 0:
        raise PreconditionError("sigma_w=0: the Jacobian vanishes, and its law is the point mass at 0")
    return variance


def _constant(value: Any, title: str) -> STransform:
    """S of a point mass."""
    factors = merge(((value, -sp.Integer(1)),))
    step = Step(title, sp.Eq(_S(m), 1 / value, evaluate=False), "A point mass has a constant S.", "definition")
    return STransform(factors, value, lambda n: [1, *[0] * n][:n], (step,))


_IDENTITY = _constant(sp.Integer(1), "The identity")


def _exact(net: Layer) -> Any:
    """The network in the grammar of layers, with sympy parameters."""
    if isinstance(net, ResNet):
        branch = (
            Dense(parameter(net.sigma_w) / sp.sqrt(parameter(net.depth)), net.sigma_b, net.weights),
            Activation(net.nonlinearity),
        )
        return Repeat(Residual(branch, net.skip), net.depth)
    return net.expand() if hasattr(net, "expand") else net


def _all_of(kind: type, layer: Any) -> Iterator[Any]:
    """The layers of one kind, each as often as it is written."""
    if isinstance(layer, kind):
        yield layer
    else:
        inner = getattr(layer, "branch", None) or getattr(layer, "layers", None)
        for item in inner if inner is not None else (_exact(layer),) if hasattr(layer, "expand") else ():
            yield from _all_of(kind, item)


def _network_steps(net: Layer) -> tuple[Step, ...]:
    from theory.network import describe

    jacobian = sp.Symbol("J")
    factors = sp.Product(sp.IndexedBase("J")[sp.Symbol("l")], (sp.Symbol("l"), 1, sp.Symbol("n")))
    text = "; ".join(line.strip().rstrip(":") for line in describe(net).splitlines())
    return (
        Step(
            "The network",
            sp.Eq(jacobian, factors, evaluate=False),
            f"Chain rule over its layers: {text}. The law sought is that of $J J^T$ at infinite width.",
            "definition",
        ),
        Step(
            "Freeness",
            sp.Eq(_S(m), sp.Product(sp.Function("S_l")(m), (sp.Symbol("l"), 1, sp.Symbol("n"))), evaluate=False),
            "Slopes, weights and blocks are free in the limit of large width, so that S multiplies; a block $a + Y$ "
            "with a bi-invariant branch $Y$ is a free sum of symmetrised singular laws.",
            PASTUR,
            sp.Eq(jacobian, factors, evaluate=False),
        ),
    )
