"""What the words of notices need beside the notices themselves, read in bulk."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from common.contracts import NoticeCode
from common.postgres import Db
from notifier.core.notices import Notice
from notifier.core.rendering import ShownGap
from notifier.core.tokens import Token
from notifier.store import tokens as store


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Tokens, paused rules and gaps of a set of notices."""

    tokens: dict[UUID, Token]
    paused: dict[UUID, int]
    gaps_of_tokens: dict[UUID, tuple[ShownGap, ...]]
    gaps_of_conditions: dict[UUID, tuple[ShownGap, ...]]

    def token(self, notice: Notice) -> Token | None:
        token_id = notice.condition.fact.token_id
        return self.tokens.get(token_id) if token_id is not None else None

    def rules_paused(self, notice: Notice) -> int:
        token_id = notice.condition.fact.token_id
        return self.paused.get(token_id, 0) if token_id is not None else 0

    def gaps(self, notice: Notice) -> tuple[ShownGap, ...]:
        condition = notice.condition
        if condition.code is NoticeCode.DATA_GAP:
            return self.gaps_of_conditions.get(condition.condition_id, ())
        token_id = condition.fact.token_id
        return self.gaps_of_tokens.get(token_id, ()) if token_id is not None else ()


async def surroundings_of(db: Db, notices: Sequence[Notice]) -> Surroundings:
    """Read them once for all of these notices."""
    token_ids = {fact.token_id for notice in notices if (fact := notice.condition.fact).token_id is not None}
    gaps = {notice.condition.condition_id for notice in notices if notice.condition.code is NoticeCode.DATA_GAP}
    if not token_ids:
        return Surroundings({}, {}, {}, {})
    return Surroundings(
        tokens=await store.get_many(db, token_ids),
        paused=await store.paused_rules(db, token_ids),
        gaps_of_tokens=await store.gaps_of_tokens(db, token_ids),
        gaps_of_conditions=await store.gaps_of_conditions(db, gaps) if gaps else {},
    )
