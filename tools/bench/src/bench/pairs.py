"""Ours and the bare ceiling in turn, under the same load, so that a drift of the machine cancels out."""

from collections.abc import Sequence
from dataclasses import dataclass

from bench.load import Load, drive
from bench.results import Result, paired_ratio

CONNECTIONS = 32


@dataclass(frozen=True, slots=True)
class Side:
    """A server that listens on `port`, and the requests that it is sent round and round."""

    port: int
    requests: Sequence[bytes]


async def in_turn(ours: Side, bare: Side, *, quick: bool) -> tuple[list[Load], list[Load]]:
    """Drive both one after the other, several times; the first pair only warms up and is left out."""
    rounds, seconds = (3, 2.0) if quick else (7, 4.0)
    measured: tuple[list[Load], list[Load]] = ([], [])
    for number in range(-1, rounds):
        for loads, side in zip(measured, (ours, bare), strict=True):
            load = await drive("127.0.0.1", side.port, side.requests, connections=CONNECTIONS, seconds=seconds)
            if number >= 0:
                loads.append(load)
    return measured


async def compared(ours: Side, bare: Side, *, quick: bool, id_: str, measure: str, must: float, aim: float) -> Result:
    """Return the row of a target that is a rate beside its ceiling.

    Args:
        ours: the service.
        bare: the least that the same work takes.
        quick: fewer and shorter windows.
        id_: the target, such as P1.
        measure: what is measured, in words.
        must: the least ratio.
        aim: the ratio that is aimed at.

    """
    mine, ceiling = await in_turn(ours, bare, quick=quick)
    failures = sum(load.failures for load in (*mine, *ceiling))
    ratio = paired_ratio([load.rate for load in mine], [load.rate for load in ceiling])
    middle = sorted(mine, key=lambda load: load.rate)[len(mine) // 2]
    return Result(
        id=id_,
        measure=measure,
        ours=middle.rate,
        ceiling=sorted(load.rate for load in ceiling)[len(ceiling) // 2],
        ratio=ratio,
        unit="req/s",
        must=f">= {must} (aim {aim})",
        met=ratio >= must and failures == 0,
        details={
            "p50 ms": middle.quantile_ms(0.5),
            "p99 ms": middle.quantile_ms(0.99),
            "failures": float(failures),
            "connections": float(CONNECTIONS),
        },
    )
