"""Laws that every contract is checked on, off their default parameters, one fixture parametrised over all of them."""

from fractions import Fraction

import pytest

from rmt import Discrete, FussCatalan, Law, MarchenkoPastur, ResidualSum, Semicircle, UniversalResNet

_semicircle = Semicircle(variance=0.7, mean=0.3)
_narrow = MarchenkoPastur(ratio=0.4)
_tall = MarchenkoPastur(ratio=Fraction(5, 2))
_signed = Discrete({-1: 0.3, 2: 0.7})
_gates = Discrete({0: 0.25, 1: 0.35, 3: 0.4})

LEAVES: dict[str, Law] = {
    "semicircle": _semicircle,
    "marchenko-pastur": _narrow,
    "marchenko-pastur, atom": _tall,
    "marchenko-pastur, hard edge": MarchenkoPastur(),
    "discrete": _gates,
    "fuss-catalan": FussCatalan(3),
    "fuss-catalan, real order": FussCatalan(2.5),
    "universal": UniversalResNet(c=0.6),
    "universal, skip": UniversalResNet(c=0.6, skip=0.9, depth=7),
}

COMPOSED: dict[str, Law] = {
    "affine": -2 * _narrow + 1,
    "affine, atom": -1.5 * _tall + 0.5,
    "shift": _tall + 2,
    "sum": _semicircle + _narrow,
    "sum, two intervals": _semicircle + _signed,
    "sum, two atoms": _signed + Discrete({0: 0.5, 1: 0.5}),
    "sum of equals": _narrow + _narrow,
    "difference": _narrow - _tall,
    "product": _narrow @ _gates,
    "product, tall": _tall @ _narrow,
    "product, three atoms": _gates @ Discrete({0: 0.1, 2: 0.9}),
    "power": _gates.free_power(2.5),
    "power, atom": Discrete({0.5: 0.1, 1: 0.9}).free_power(3),
    "power, deep": Discrete({0.97: 0.5, 1.03: 0.5}).free_power(700.5),
    "sum power": _gates.free_sum_power(1.7),
    "sum power, atom": _signed.free_sum_power(2.5),
    "compression": _narrow.compress(0.5),
    "compression, signed": _semicircle.compress(0.6),
    "compression, atom": _tall.compress(0.8),
    "square root": _tall.sqrt(),
    "square root, hard edge": FussCatalan(3).sqrt(),
    "symmetrised root": _tall.sqrt().symmetrized(),
    "symmetrised root in a sum": _narrow.sqrt().symmetrized() + _semicircle,
    "symmetrised": _narrow.symmetrized(),
    "square": _narrow.square(),
    "residual": ResidualSum(_narrow @ _gates, 0.8),
    "residual, atom": ResidualSum(Discrete({0: 0.8, 1: 0.2}) @ MarchenkoPastur(0.5), Fraction(3, 2)),
    "residual, nested": ResidualSum(ResidualSum(_narrow, 0.8) @ _gates, 1.2),
}


def _parameters(laws: dict[str, Law]) -> list[object]:
    return [pytest.param(law, id=name) for name, law in laws.items()]


# session scope: a law keeps what it has computed, and the tests of one law share it
@pytest.fixture(scope="session", params=_parameters(LEAVES | COMPOSED))
def law(request: pytest.FixtureRequest) -> Law:
    return request.param


@pytest.fixture(scope="session", params=_parameters(LEAVES))
def leaf(request: pytest.FixtureRequest) -> Law:
    return request.param
