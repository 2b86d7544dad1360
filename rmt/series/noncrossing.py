"""Set, noncrossing, interval and monotone partitions of {1, …, n}, and the lattice NC(n).

The combinatorial side of the cumulants: moments are sums over partitions,

    m_n = Σ_π w(π) Π_(B in π) c_|B|

over all partitions (classical), the noncrossing ones (free) or the interval ones (Boolean) with w = 1, and over the
noncrossing ones with w = 1/`tree_factorial` (monotone). A partition is a tuple of blocks, each an increasing tuple,
ordered by their least elements. Nothing here uses power series, so that each side checks the other.

Nica, Speicher, Lectures on the Combinatorics of Free Probability, 2006, lectures 9 and 10; Arizmendi, Hasebe, Lehner,
Vargas, arXiv:1408.2977 (monotone).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator

__all__ = [
    "interval_partitions",
    "is_noncrossing",
    "kreweras_complement",
    "monotone_partitions",
    "noncrossing_moebius",
    "noncrossing_partitions",
    "set_partitions",
    "tree_factorial",
]

Partition = tuple[tuple[int, ...], ...]


def set_partitions(n: int) -> Iterator[Partition]:
    """All partitions of {1, …, n}; there are Bell(n).

    Examples
    --------
    >>> len(list(set_partitions(4)))
    15
    """
    return _generated(n, lambda blocks: range(len(blocks)))


def noncrossing_partitions(n: int) -> Iterator[Partition]:
    """The partitions without a < b < c < d, a ~ c and b ~ d in different blocks; there are Catalan(n).

    Examples
    --------
    >>> len(list(noncrossing_partitions(4)))
    14
    """

    # n may join a block unless another one lies across: one with elements on both sides of that block's largest
    def visible(blocks: list[list[int]]) -> list[int]:
        return [
            i
            for i, block in enumerate(blocks)
            if not any(other[0] < block[-1] < other[-1] for other in blocks if other is not block)
        ]

    return _generated(n, visible)


def interval_partitions(n: int) -> Iterator[Partition]:
    """The partitions whose blocks are intervals of consecutive numbers; there are 2^(n-1).

    Examples
    --------
    >>> list(interval_partitions(2))
    [((1, 2),), ((1,), (2,))]
    """
    return _generated(n, lambda blocks: range(len(blocks))[-1:])


def monotone_partitions(n: int) -> Iterator[Partition]:
    """Noncrossing partitions with their blocks in an order in which every block stands behind those that enclose it.

    There are (n+1)!/2. Unlike everywhere else here the order of the blocks is that order; each partition of
    {1, …, n} comes in (number of blocks)!/`tree_factorial` orders.

    Examples
    --------
    >>> list(monotone_partitions(2))
    [((1, 2),), ((1,), (2,)), ((2,), (1,))]
    """
    for partition in noncrossing_partitions(n):
        for order in itertools.permutations(partition):
            if all(not _encloses(b, a) for a, b in itertools.combinations(order, 2)):
                yield order


def is_noncrossing(partition: Partition) -> bool:
    """Whether no two blocks cross.

    Examples
    --------
    >>> is_noncrossing(((1, 3), (2, 4))), is_noncrossing(((1, 4), (2, 3)))
    (False, True)
    """

    def cross(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
        # the elements of b lie in one gap of a, the outer one included
        return len({sum(x < y for x in a) % len(a) for y in b}) > 1

    return not any(cross(a, b) for a, b in itertools.combinations(partition, 2))


def kreweras_complement(partition: Partition) -> Partition:
    """The largest partition of {1', …, n'} that is noncrossing together with the given one on 1, 1', 2, 2', …, n, n'.

    As a permutation it is π^(-1) γ with γ = (1 2 … n) and each block a cycle. The numbers of blocks add up to n + 1,
    and the moments of a free product are ``Σ_π κ_π[a] m_K(π)[b]`` over NC(n).

    Raises
    ------
    ValueError
        If two blocks cross.

    Examples
    --------
    >>> kreweras_complement(((1, 2, 3), (4,)))
    ((1,), (2,), (3, 4))
    """
    if not is_noncrossing(partition):
        raise ValueError(f"partition={partition}: two blocks cross; only noncrossing partitions have a complement")
    before = {x: block[k - 1] for block in partition for k, x in enumerate(block)}
    n = len(before)
    step = {x: before[x % n + 1] for x in range(1, n + 1)}
    cycles, left = [], set(step)
    while left:
        cycle, x = [], min(left)
        while x in left:
            left.remove(x)
            cycle.append(x)
            x = step[x]
        cycles.append(tuple(sorted(cycle)))
    return tuple(cycles)


def noncrossing_moebius(partition: Partition) -> int:
    """Möbius function of NC(n) between a partition and the coarsest one, {1, …, n}.

    The product of (-1)^(b-1) Catalan(b-1) over the sizes b of the blocks of the Kreweras complement. It inverts the
    sum over noncrossing partitions: ``κ_n = Σ_π moebius(π) Π m_|B|``.

    Raises
    ------
    ValueError
        If two blocks cross.

    Examples
    --------
    >>> noncrossing_moebius(((1,), (2,), (3,))), noncrossing_moebius(((1, 2, 3),))
    (2, 1)
    """
    sizes = [len(block) for block in kreweras_complement(partition)]
    return math.prod((-1) ** (b - 1) * math.comb(2 * b - 2, b - 1) // b for b in sizes)


def tree_factorial(partition: Partition) -> int:
    """Product over the blocks of the number of blocks inside or equal to it, for a noncrossing partition.

    Examples
    --------
    >>> tree_factorial(((1, 4), (2,), (3,))), tree_factorial(((1,), (2,), (3,)))
    (3, 1)
    """
    return math.prod(sum(a == b or _encloses(a, b) for b in partition) for a in partition)


def _encloses(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    """Whether block b lies in an inner gap of block a."""
    return a[0] < b[0] and b[-1] < a[-1]


def _generated(n: int, choices: Callable[[list[list[int]]], range | list[int]]) -> Iterator[Partition]:
    """Add 1, 2, …, n one by one, each to one of the blocks that ``choices`` allows or to a new one."""
    if n < 0:
        raise ValueError(f"n={n}: expected an integer >= 0")

    def extended(blocks: list[list[int]], x: int) -> Iterator[Partition]:
        if x > n:
            yield tuple(tuple(block) for block in blocks)
            return
        for i in choices(blocks):
            yield from extended([*blocks[:i], [*blocks[i], x], *blocks[i + 1 :]], x + 1)
        yield from extended([*blocks, [x]], x + 1)

    return extended([], 1)
