"""Access to single accounts of a living grant: one notice for all of them, over when the last is back."""

from typing import Any

from common.contracts import AccountAccess, AccountAccessChangedV1
from notifier.operations import notices
from notifier.operations.notices import Reader


async def _changed(world: Any, token: Any, account: Any, access: AccountAccess, version: int = 2) -> None:
    await world.take(
        AccountAccessChangedV1(
            account=account,
            token_id=token.token_id,
            workspace_id=world.workspace_id,
            owner_user_id=token.owner_user_id,
            provider="meta",
            version=version,
            access=access,
        )
    )


async def _mine(world: Any) -> Any:
    mia = world.people["mia"]
    reader = Reader(user_id=mia.user_id, workspace_id=mia.workspace_id, role=mia.role)
    found, _ = await notices.page(world.deps, reader, before=None, state=None, limit=50, now=world.clock.now())
    return found


async def test_lost_accounts_are_one_notice_that_shrinks_and_ends(world: Any) -> None:
    token = world.token(world.people["mia"])
    await world.issued(token)
    await world.know_people()
    first, second, _ = token.accounts
    for account in (first, second, first):
        await _changed(world, token, account, AccountAccess.LOST)
    (shown,) = await _mine(world)
    assert shown.words.title == "Meta: 2 accounts can no longer be reached"
    assert shown.view.account_names == ("Shop 1", "Shop 2")
    await world.later()
    assert len(world.mailbox.mails) == 3
    await _changed(world, token, first, AccountAccess.GRANTED, 3)
    assert (await _mine(world))[0].view.account_names == ("Shop 2",)
    await _changed(world, token, second, AccountAccess.GRANTED, 3)
    assert (await _mine(world))[0].view.resolution == "renewed"


async def test_a_lost_account_of_a_dead_grant_is_no_news(world: Any) -> None:
    token = world.token(world.people["mia"])
    await world.issued(token)
    await world.know_people()
    await world.revoked(token.model_copy(update={"version": 2}))
    await _changed(world, token, token.accounts[0], AccountAccess.LOST)
    assert [item.view.code for item in await _mine(world)] == ["TOKEN_REVOKED"]
