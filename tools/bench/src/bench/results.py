"""What a benchmark found, as data and as a table."""

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Result:
    """One row of docs/reference/targets.md, measured.

    Attributes:
        id: the target's id, such as P1.
        measure: what was measured, in words.
        ours: our figure, in `unit`.
        ceiling: the bare ceiling's figure in the same run, in `unit`; None where the target is absolute.
        ratio: ours against the ceiling, median over pairs measured one after the other; None as above.
        unit: such as requests/s or ms.
        must: the target's bound, in words.
        met: whether the bound holds.
        details: further figures by name.

    """

    id: str
    measure: str
    ours: float
    unit: str
    must: str
    met: bool
    ceiling: float | None = None
    ratio: float | None = None
    details: dict[str, float | str] = field(default_factory=dict)


def paired_ratio(ours: Sequence[float], ceiling: Sequence[float]) -> float:
    """The median of the ratios of pairs that were measured one after the other, so that a drift cancels out."""
    return statistics.median(mine / bare for mine, bare in zip(ours, ceiling, strict=True))


def quantile(values: Sequence[float], share: float) -> float:
    """The value that `share` of the values do not exceed (nearest rank); NaN of none."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else float("nan")


def table(results: Sequence[Result]) -> str:
    """The results for a terminal."""
    rows = [
        ("", "MEASURE", "OURS", "CEILING", "RATIO", "MUST", ""),
        *(
            (
                result.id,
                result.measure,
                f"{result.ours:,.4g} {result.unit}",
                "-" if result.ceiling is None else f"{result.ceiling:,.4g} {result.unit}",
                "-" if result.ratio is None else f"{result.ratio:.2f}",
                result.must,
                "ok" if result.met else "MISSED",
            )
            for result in results
        ),
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    for result in results:
        if result.details:
            said = ", ".join(
                f"{name} {value:,.4g}" if isinstance(value, float) else f"{name} {value}"
                for name, value in result.details.items()
            )
            lines.append(f"{result.id}: {said}")
    return "\n".join(lines)


def write(results: Sequence[Result], path: Path) -> None:
    """Keep the results as JSON; rows that were not measured now stay as they were."""
    known = {row["id"]: row for row in json.loads(path.read_text())} if path.exists() else {}
    known |= {result.id: asdict(result) for result in results}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([known[identity] for identity in sorted(known)], indent=2) + "\n")
