"""What periodic work says of itself."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SweepStatus:
    """What one activation did. `more` asks for the next one at once."""

    claimed: int
    more: bool = False

    def __add__(self, other: "SweepStatus") -> "SweepStatus":
        return SweepStatus(self.claimed + other.claimed, self.more or other.more)
