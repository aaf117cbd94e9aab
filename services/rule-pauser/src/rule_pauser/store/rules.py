"""Rules, the reasons that hold them, and their history. Read and written in sets: a grant can have 5,000 rules."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from common.contracts import TokenKind
from common.postgres import Db, Pool, Record, connection, translate_errors
from rule_pauser.core.listed import HistoryEntry, Listed, RuleScope
from rule_pauser.core.pausing import Mode, PauseReason, Reconciled, Rule, RuleOutcome, Why

_RULE = """r.rule_id, r.workspace_id, r.name, r.enabled, r.revision, r.version, r.person_paused_at,
 r.person_paused_by, r.auto_paused_at, r.auto_paused_revision, r.auto_paused_account, r.auto_paused_token"""

_ACCOUNT = "coalesce(a.name, 'an account') AS account_name, coalesce(a.provider, t.provider) AS provider, t.kind"

# Accounts that do not work, of a rule's own workspace only. A grant we have heard nothing bad of counts as working, and
# lost access counts even before we have heard of its grant. What needs a person comes before what passes by itself.
_BLOCKED = f"""
SELECT ra.rule_id, ra.account_id, a.token_id, {_ACCOUNT}, why,
       CASE why WHEN 'access_lost' THEN a.access_cause WHEN 'platform_incident' THEN NULL ELSE t.cause END AS cause,
       CASE why WHEN 'access_lost' THEN a.access_version WHEN 'platform_incident' THEN i.version
                ELSE t.version END AS version,
       CASE why WHEN 'access_lost' THEN a.access_since WHEN 'platform_incident' THEN i.since ELSE t.since END AS since
  FROM automation_rule r
  JOIN rule_account ra USING (rule_id)
  JOIN account a ON a.account_id = ra.account_id AND a.workspace_id = r.workspace_id
  LEFT JOIN token t ON t.token_id = a.token_id
  LEFT JOIN incident i ON i.provider = a.provider AND i.pausing_at IS NOT NULL
 CROSS JOIN LATERAL (SELECT CASE WHEN t.life = 'revoked' THEN 'token_revoked'
                                 WHEN t.life = 'expired' THEN 'token_expired'
                                 WHEN a.access = 'lost' THEN 'access_lost'
                                 WHEN i.provider IS NOT NULL THEN 'platform_incident' END) AS found(why)
 WHERE r.rule_id = ANY($1::uuid[]) AND a.token_id IS NOT NULL AND why IS NOT NULL
"""


_OF_WORKSPACE = "r.workspace_id = $1"
_ON_PLATFORM = """r.workspace_id = $1 AND EXISTS (
                 SELECT 1 FROM rule_account ra JOIN account a USING (account_id)
                  WHERE ra.rule_id = r.rule_id AND a.provider = $4)"""
_OF_GRANT = """r.rule_id IN (SELECT ra.rule_id FROM rule_account ra JOIN account a USING (account_id)
                                        WHERE a.token_id = $1)"""
_OF_ACCOUNT = "r.rule_id IN (SELECT ra.rule_id FROM rule_account ra WHERE ra.account_id = $1)"


async def lock_scope(db: Db, scope: RuleScope, after: UUID | None, limit: int) -> list[Rule]:
    """Return the next rules of a scope in the order of their ids, locked, with the reasons that hold them.

    Args:
        db: the connection or the transaction to use.
        scope: which rules.
        after: the last rule of the batch before; None for the first.
        limit: how many are returned at most.

    """
    if scope.account_id is not None:
        which, whose = _OF_ACCOUNT, scope.account_id
    elif scope.token_id is not None:
        which, whose = _OF_GRANT, scope.token_id
    elif scope.provider is not None:
        which, whose = _ON_PLATFORM, scope.workspace_id
    else:
        which, whose = _OF_WORKSPACE, scope.workspace_id
    rows = await db.fetch(
        f"""SELECT {_RULE} FROM automation_rule r
             WHERE {which} AND r.deleted_at IS NULL AND ($2::uuid IS NULL OR r.rule_id > $2)
             ORDER BY r.rule_id LIMIT $3 FOR UPDATE OF r""",
        whose,
        after,
        limit,
        *([] if which is not _ON_PLATFORM else [scope.provider]),
    )
    return await _with_reasons(db, rows)


async def lock(db: Db, rule_id: UUID) -> tuple[Rule, bool] | None:
    """Return one rule, locked, and whether it was deleted."""
    row = await db.fetchrow(
        f"SELECT {_RULE}, r.deleted_at FROM automation_rule r WHERE rule_id = $1 FOR UPDATE", rule_id
    )
    if row is None:
        return None
    return (await _with_reasons(db, [row]))[0], row["deleted_at"] is not None


async def blocked(db: Db, rule_ids: Sequence[UUID]) -> dict[UUID, tuple[PauseReason, ...]]:
    """Return what does not work now, per rule. The rules have to be locked, so that nothing newer is lost."""
    return _by_rule(await db.fetch(_BLOCKED, rule_ids))


async def modes(db: Db, workspace_ids: Sequence[UUID]) -> dict[UUID, Mode]:
    """Return what these workspaces chose; who chose nothing is not in it."""
    rows = await db.fetch(
        "SELECT workspace_id, mode FROM workspace_mode WHERE workspace_id = ANY($1::uuid[])", workspace_ids
    )
    return {row["workspace_id"]: Mode(row["mode"]) for row in rows}


async def save(db: Db, reconciled: Sequence[Reconciled], now: datetime, actor: str | None = None) -> None:
    """Store rules that reconciling changed, their reasons, and a line of history for each that has words.

    Args:
        db: the connection or the transaction to use.
        reconciled: the rules, with what was decided.
        now: the present time, in UTC.
        actor: who does it; None for none.

    """
    changed = [item for item in reconciled if item.outcome is not RuleOutcome.NONE]
    if not changed:
        return
    rules = [item.rule for item in changed]
    await db.execute(
        """UPDATE automation_rule r
              SET version = n.version, auto_paused_at = n.auto_paused_at, auto_paused_revision = n.auto_paused_revision,
                  auto_paused_account = n.auto_paused_account, auto_paused_token = n.auto_paused_token, updated_at = $7
             FROM unnest($1::uuid[], $2::bigint[], $3::timestamptz[], $4::bigint[], $5::uuid[], $6::uuid[])
               AS n(rule_id, version, auto_paused_at, auto_paused_revision, auto_paused_account, auto_paused_token)
            WHERE r.rule_id = n.rule_id""",
        [rule.rule_id for rule in rules],
        [rule.version for rule in rules],
        [rule.auto_paused_at for rule in rules],
        [rule.auto_paused_revision for rule in rules],
        [rule.auto_paused_account for rule in rules],
        [rule.auto_paused_token for rule in rules],
        now,
    )
    await db.execute("DELETE FROM pause_reason WHERE rule_id = ANY($1::uuid[])", [rule.rule_id for rule in rules])
    reasons = [(rule.rule_id, reason) for rule in rules for reason in rule.reasons]
    await db.execute(
        """INSERT INTO pause_reason (rule_id, account_id, token_id, why, cause, version, since)
           SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::bigint[],
                                $7::timestamptz[])""",
        [rule_id for rule_id, _ in reasons],
        [reason.account_id for _, reason in reasons],
        [reason.token_id for _, reason in reasons],
        [reason.why for _, reason in reasons],
        [reason.cause for _, reason in reasons],
        [reason.version for _, reason in reasons],
        [reason.since for _, reason in reasons],
    )
    lines = [item for item in changed if item.words]
    await db.execute(
        """INSERT INTO rule_history (rule_id, version, at, what, words, actor)
           SELECT h.rule_id, h.version, $5, h.what, h.words, $6
             FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[]) AS h(rule_id, version, what, words)""",
        [item.rule.rule_id for item in lines],
        [item.rule.version for item in lines],
        [item.outcome for item in lines],
        [item.words for item in lines],
        now,
        actor,
    )


async def record(db: Db, rule: Rule, what: str, words: str, *, actor: str | None, now: datetime) -> None:
    """Add a line to a rule's history.

    Args:
        db: the connection or the transaction to use.
        rule: the rule.
        what: what happened.
        words: the same for people.
        actor: who does it; None for none.
        now: the present time, in UTC.

    """
    await db.execute(
        "INSERT INTO rule_history (rule_id, version, at, what, words, actor) VALUES ($1, $2, $3, $4, $5, $6)",
        rule.rule_id,
        rule.version,
        now,
        what,
        words,
        actor,
    )


async def put(db: Db, rule: Rule, account_ids: Sequence[UUID], now: datetime) -> None:
    """Create a rule or store its new definition; its row, if there is one, is locked by `lock`.

    Args:
        db: the connection or the transaction to use.
        rule: the rule.
        account_ids: the accounts that it works on.
        now: the present time, in UTC.

    """
    await db.execute(
        """INSERT INTO automation_rule (rule_id, workspace_id, name, enabled, revision, version, person_paused_at,
                                        person_paused_by, auto_paused_at, auto_paused_revision,
                                        auto_paused_account, auto_paused_token, created_at, updated_at)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $13)
               ON CONFLICT (rule_id) DO UPDATE
              SET name = excluded.name, enabled = excluded.enabled, revision = excluded.revision,
                  version = excluded.version, person_paused_at = excluded.person_paused_at,
                  person_paused_by = excluded.person_paused_by, auto_paused_at = excluded.auto_paused_at,
                  auto_paused_revision = excluded.auto_paused_revision,
                  auto_paused_account = excluded.auto_paused_account, auto_paused_token = excluded.auto_paused_token,
                  updated_at = excluded.updated_at, deleted_at = NULL""",
        rule.rule_id,
        rule.workspace_id,
        rule.name,
        rule.enabled,
        rule.revision,
        rule.version,
        rule.person_paused_at,
        rule.person_paused_by,
        rule.auto_paused_at,
        rule.auto_paused_revision,
        rule.auto_paused_account,
        rule.auto_paused_token,
        now,
    )
    await db.execute(
        "DELETE FROM rule_account WHERE rule_id = $1 AND account_id <> ALL($2::uuid[])", rule.rule_id, account_ids
    )
    await db.execute(
        """INSERT INTO rule_account (rule_id, account_id) SELECT $1, unnest($2::uuid[])
           ON CONFLICT (rule_id, account_id) DO NOTHING""",
        rule.rule_id,
        account_ids,
    )


async def delete(db: Db, rule: Rule, now: datetime) -> None:
    """Mark a rule as deleted; nothing pauses or resumes it any more."""
    await db.execute(
        """UPDATE automation_rule SET deleted_at = $2, updated_at = $2, version = $3, auto_paused_at = NULL,
                                      auto_paused_revision = NULL, auto_paused_account = NULL,
                                      auto_paused_token = NULL
            WHERE rule_id = $1""",
        rule.rule_id,
        now,
        rule.version,
    )
    await db.execute("DELETE FROM pause_reason WHERE rule_id = $1", rule.rule_id)


async def accounts_of(db: Db, rule_id: UUID) -> tuple[UUID, ...]:
    """Return the accounts that a rule works on."""
    rows = await db.fetch("SELECT account_id FROM rule_account WHERE rule_id = $1 ORDER BY account_id", rule_id)
    return tuple(row["account_id"] for row in rows)


async def _with_reasons(db: Db, rows: Sequence[Record]) -> list[Rule]:
    reasons = _by_rule(
        await db.fetch(
            f"""SELECT p.rule_id, p.account_id, p.token_id, {_ACCOUNT}, p.why, p.cause, p.version, p.since
                  FROM pause_reason p
                  LEFT JOIN account a USING (account_id)
                  LEFT JOIN token t ON t.token_id = p.token_id
                 WHERE p.rule_id = ANY($1::uuid[])""",
            [row["rule_id"] for row in rows],
        )
    )
    return [rule_of(row, reasons) for row in rows]


def rule_of(row: Record, reasons: Mapping[UUID, tuple[PauseReason, ...]]) -> Rule:
    """Return a row as a rule."""
    return Rule(
        rule_id=row["rule_id"],
        workspace_id=row["workspace_id"],
        name=row["name"],
        enabled=row["enabled"],
        revision=row["revision"],
        version=row["version"],
        person_paused_at=row["person_paused_at"],
        person_paused_by=row["person_paused_by"],
        auto_paused_at=row["auto_paused_at"],
        auto_paused_revision=row["auto_paused_revision"],
        auto_paused_account=row["auto_paused_account"],
        auto_paused_token=row["auto_paused_token"],
        reasons=reasons.get(row["rule_id"], ()),
    )


def _by_rule(rows: Sequence[Record]) -> dict[UUID, tuple[PauseReason, ...]]:
    found: dict[UUID, list[PauseReason]] = {}
    for row in rows:
        found.setdefault(row["rule_id"], []).append(
            PauseReason(
                account_id=row["account_id"],
                account_name=row["account_name"],
                token_id=row["token_id"],
                provider=row["provider"] or "unknown",
                kind=TokenKind(row["kind"] or TokenKind.PLATFORM_OAUTH),
                why=Why(row["why"]),
                cause=row["cause"],
                version=row["version"],
                since=row["since"],
            )
        )
    return {
        rule_id: tuple(sorted(reasons, key=lambda reason: (reason.since, reason.account_id)))
        for rule_id, reasons in found.items()
    }


async def page(
    pool: Pool,
    workspace_id: UUID,
    *,
    account_id: UUID | None,
    auto_paused: bool | None,
    after: UUID | None,
    limit: int,
) -> list[Listed]:
    """Return rules of a workspace in the order of their ids.

    Args:
        pool: the service's database.
        workspace_id: the workspace.
        account_id: the account; None for all.
        auto_paused: only rules that are paused by us, or only those that are not; None for all.
        after: where the page begins: behind this one; None for the first page.
        limit: how many are returned at most.

    """
    async with connection(pool) as db:
        rows = await db.fetch(
            f"""SELECT {_RULE} FROM automation_rule r
                 WHERE r.workspace_id = $1 AND r.deleted_at IS NULL
                   AND ($2::uuid IS NULL OR EXISTS (SELECT 1 FROM rule_account ra
                                                     WHERE ra.rule_id = r.rule_id AND ra.account_id = $2))
                   AND ($3::boolean IS NULL OR (r.auto_paused_at IS NOT NULL) = $3)
                   AND ($4::uuid IS NULL OR r.rule_id > $4)
                 ORDER BY r.rule_id LIMIT $5""",
            workspace_id,
            account_id,
            auto_paused,
            after,
            limit,
        )
        return await _listed(db, rows)


async def one(pool: Pool, workspace_id: UUID | None, rule_id: UUID) -> Listed | None:
    """Return one rule of a workspace (None: of any)."""
    async with connection(pool) as db:
        rows = await db.fetch(
            f"""SELECT {_RULE} FROM automation_rule r
                 WHERE r.rule_id = $1 AND ($2::uuid IS NULL OR r.workspace_id = $2) AND r.deleted_at IS NULL""",
            rule_id,
            workspace_id,
        )
        found = await _listed(db, rows)
    return found[0] if found else None


async def read_history(pool: Pool, rule_id: UUID, limit: int) -> list[HistoryEntry]:
    """Return the latest lines of a rule's history, newest first."""
    with translate_errors():
        rows = await pool.fetch(
            """SELECT at, what, words, actor, version FROM rule_history
                WHERE rule_id = $1 ORDER BY entry_id DESC LIMIT $2""",
            rule_id,
            limit,
        )
    return [HistoryEntry(row["at"], row["what"], row["words"], row["actor"], row["version"]) for row in rows]


async def _listed(db: Db, rows: Sequence[Record]) -> list[Listed]:
    rules = await _with_reasons(db, rows)
    accounts = await db.fetch(
        "SELECT rule_id, account_id FROM rule_account WHERE rule_id = ANY($1::uuid[]) ORDER BY rule_id, account_id",
        [rule.rule_id for rule in rules],
    )
    by_rule: dict[UUID, list[UUID]] = {}
    for row in accounts:
        by_rule.setdefault(row["rule_id"], []).append(row["account_id"])
    return [Listed(rule, tuple(by_rule.get(rule.rule_id, ()))) for rule in rules]
