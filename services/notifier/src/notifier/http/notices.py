"""`/api/v1/notices`: what a person was told, and whether it is over."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from pydantic import BaseModel, Field

from common.contracts import NoticeCode, RevocationCause, TokenKind
from common.platforms import title_of
from common.runtime.clock import Clock
from common.web import Access, Page, PageQuery, Principal, Problem, Routes, decode_cursor, encode_cursor
from notifier.core.conditions import Resolution
from notifier.core.errors import UnknownNotice
from notifier.core.rendering import Severity
from notifier.http.reader import reader_of
from notifier.operations import notices as operations
from notifier.operations.deps import Deps
from notifier.operations.notices import Shown


class NoticeState(StrEnum):
    """Whether the fact behind a notice still stands."""

    OPEN = "open"
    RESOLVED = "resolved"


class NoticePath(BaseModel):
    """One notice."""

    id: UUID


class NoticesQuery(PageQuery):
    """Filters of the list of notices."""

    state: NoticeState | None = Field(default=None, description="only these; without it, both")


class GapView(BaseModel):
    """Data of one account that was never synced."""

    account_name: str
    from_: datetime = Field(alias="from")
    to: datetime


class NoticeItem(BaseModel):
    """One notice, in words and as data. Times are UTC; `when` is in the reader's time zone."""

    notice_id: UUID
    code: NoticeCode
    critical: bool
    severity: Severity
    state: NoticeState
    resolution: Resolution | None
    superseded_by: UUID | None = Field(description="the caller's later notice that says what happened since")
    title: str
    what: str
    stops: str
    fix: str
    button: str
    recovered: str = Field(description="what to say when the notice is resolved")
    fix_url: str
    provider: str
    platform: str
    token_id: UUID | None
    token_kind: TokenKind
    cause: RevocationCause | None
    account_names: list[str]
    stage: str | None
    expires_at: datetime | None
    remaining_s: int | None = Field(description="seconds to full expiry; 0 once it is over")
    left: str
    when: str
    rules_paused: int
    gaps: list[GapView]
    created_at: datetime
    updated_at: datetime
    resolved_at: datetime | None
    read_at: datetime | None

    @classmethod
    def of(cls, shown: Shown, now: datetime) -> "NoticeItem":
        """As the API shows it."""
        notice, view, words = shown.notice, shown.view, shown.words
        remaining = None if view.expires_at is None else max(int((view.expires_at - now).total_seconds()), 0)
        return cls(
            notice_id=notice.notice_id,
            code=view.code,
            critical=words.severity is Severity.CRITICAL,
            severity=words.severity,
            state=NoticeState.RESOLVED if words.resolved else NoticeState.OPEN,
            resolution=notice.condition.resolution,
            superseded_by=shown.superseded_by,
            title=words.title,
            what=words.what,
            stops=words.stops,
            fix=words.fix,
            button=words.button,
            recovered=words.recovered,
            fix_url=words.fix_url,
            provider=view.provider,
            platform=title_of(view.provider),
            token_id=view.token_id,
            token_kind=view.kind,
            cause=view.cause,
            account_names=list(view.account_names),
            stage=view.stage or None,
            expires_at=view.expires_at,
            remaining_s=remaining,
            left=words.left,
            when=words.when,
            rules_paused=view.rules_paused,
            gaps=[GapView(account_name=g.account_name, **{"from": g.from_at}, to=g.to_at) for g in view.gaps],
            created_at=notice.created_at,
            updated_at=notice.condition.updated_at,
            resolved_at=view.resolved_at,
            read_at=notice.read_at,
        )


class NoticePage(Page[NoticeItem]):
    """A page of notices, with the number on the bell."""

    unread: int = Field(description="open notices of this person that were not read")


def routes(deps: Deps, clock: Clock) -> Routes:
    """Return the endpoints."""
    r = Routes("notices")

    @r.get("/api/v1/notices", access=Access.user(), summary="A person's notices, the newest first")
    async def notices(query: NoticesQuery, principal: Principal) -> NoticePage:
        """Return only the caller's own, in the workspace of their session; a platform's incident shows in each."""
        reader, now = reader_of(principal), clock.now()
        listing = f"notices:{reader.user_id}:{query.state}"
        after = decode_cursor(listing, query.cursor, [UUID])
        found, unread = await operations.page(
            deps,
            reader,
            before=after[0] if after else None,
            state=query.state.value if query.state else None,
            limit=query.limit + 1,
            now=now,
        )
        shown = found[: query.limit]
        more = len(found) > query.limit
        return NoticePage(
            items=[NoticeItem.of(item, now) for item in shown],
            next_cursor=encode_cursor(listing, [shown[-1].notice.notice_id]) if more else None,
            unread=unread,
        )

    @r.get("/api/v1/notices/{id}", access=Access.user(), summary="One notice", problems=[(404, "notice_not_found")])
    async def notice(path: NoticePath, principal: Principal) -> NoticeItem:
        """Return the caller's own; anybody else's is not found."""
        now = clock.now()
        try:
            return NoticeItem.of(await operations.one(deps, reader_of(principal), path.id, now), now)
        except UnknownNotice:
            raise _not_found() from None

    @r.post(
        "/api/v1/notices/{id}/read",
        access=Access.user(),
        summary="Mark a notice as read",
        status=204,
        problems=[(404, "notice_not_found")],
    )
    async def read(path: NoticePath, principal: Principal) -> None:
        """Doing it again changes nothing. A more urgent stage makes the notice unread again."""
        try:
            await operations.mark_read(deps, reader_of(principal), path.id, clock.now())
        except UnknownNotice:
            raise _not_found() from None

    return r


def _not_found() -> Problem:
    return Problem(404, "notice_not_found", "There is no such notice", fix="Open the list of notices.")
