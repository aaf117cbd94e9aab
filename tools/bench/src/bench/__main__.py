"""`bench [P1 P3 ...] [--quick]`: measure, print a table, keep bench/results.json. Exit status 1: a target is missed."""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from bench import (
    p1_mint,
    p2_verify,
    p3_refresh,
    p4_access,
    p5_sweep,
    p6_detection,
    p7_revocation,
    p8_notice,
    p9_rules,
    p10_outbox,
    p11_incident,
    p12_idle,
    p15_client,
    r7_rotation,
)
from bench.results import Result, table, write
from bench.stack import Stack, opened

Benchmark = Callable[..., Awaitable[list[Result]]]

BENCHMARKS: dict[str, Benchmark] = {
    "P1": p1_mint.run,
    "P2": p2_verify.run,
    "P3": p3_refresh.run,
    "P4": p4_access.run,
    "P5": p5_sweep.run,
    "P6": p6_detection.run,
    "P7": p7_revocation.run,
    "P8": p8_notice.run,
    "P9": p9_rules.run,
    "P10": p10_outbox.run,
    "P11": p11_incident.run,
    "P12": p12_idle.run,
    "P15": p15_client.run,
    "R7": r7_rotation.run,
}
RESULTS = Path("bench/results.json")


def main() -> int:
    """Run the benchmarks that were named, or all."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}; default: all")
    parser.add_argument(
        "--quick", action="store_true", help="shorter windows and fewer rows: a smoke test, not a claim"
    )
    parser.add_argument("--output", type=Path, default=RESULTS, help=f"default: {RESULTS}")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.names) - set(BENCHMARKS))
    if unknown:
        parser.error(f"no benchmark {unknown[0]}; there are {', '.join(BENCHMARKS)}")
    names = arguments.names or list(BENCHMARKS)
    results: list[Result] = []
    with opened() as stack:
        for name in names:
            print(f"measuring {name} ...", file=sys.stderr, flush=True)
            results += asyncio.run(_measure(BENCHMARKS[name], stack, quick=arguments.quick))
            print(table(results[-1:]), file=sys.stderr, flush=True)
    write(results, arguments.output)
    print(table(results))
    return 0 if all(result.met for result in results) else 1


async def _measure(benchmark: Benchmark, stack: Stack, *, quick: bool) -> list[Result]:
    try:
        return await benchmark(stack, quick=quick)
    finally:
        stack.end_children()


if __name__ == "__main__":
    raise SystemExit(main())
