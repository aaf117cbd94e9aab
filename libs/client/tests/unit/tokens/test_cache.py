"""What may be given out again, and what never."""

from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wevion_tokens import AccountToken
from wevion_tokens.tokens import cache as module
from wevion_tokens.tokens.cache import TokenCache

MARGIN, UNFOLLOWED = 30.0, 10.0


def token(connection: UUID | None = None, value: str = "at-1") -> AccountToken:
    return AccountToken(
        account_id=uuid4(),
        external_id="act_1",
        connection_id=connection or uuid4(),
        workspace_id=uuid4(),
        provider="meta",
        access_token=value,
        header="Authorization",
        scheme="Bearer",
        status="active",
        stale_refresh=False,
    )


@pytest.fixture
def cache() -> TokenCache:
    return TokenCache(MARGIN, UNFOLLOWED, in_step=lambda: True)


@given(life=st.floats(0, 7200), min_ttl=st.floats(0, 3600), later=st.floats(0, 8000))
def test_a_token_is_given_out_exactly_while_it_has_the_time_that_was_asked_for(
    life: float, min_ttl: float, later: float
) -> None:
    cache = TokenCache(MARGIN, UNFOLLOWED, in_step=lambda: True)
    kept = token()
    cache.put(kept, 0.0, life)
    found = cache.find(kept.account_id, min_ttl, later)
    assert (found is kept) is (life - later > max(min_ttl, MARGIN))


def test_the_account_may_be_named_by_uuid_or_text(cache: TokenCache) -> None:
    kept = token()
    cache.put(kept, 0.0, 3600)
    assert cache.find(kept.account_id, 0, 1) is cache.find(str(kept.account_id), 0, 1) is kept


def test_a_token_without_a_stated_end_has_none(cache: TokenCache) -> None:
    kept = token()
    cache.put(kept, 0.0, None)
    assert cache.find(kept.account_id, 3600, 1e9) is kept


def test_while_nobody_tells_of_revocations_a_token_is_kept_for_seconds(cache: TokenCache) -> None:
    kept = token()
    cache.in_step = lambda: False
    cache.put(kept, 0.0, 3600)
    assert cache.find(kept.account_id, 0, UNFOLLOWED) is kept
    assert cache.find(kept.account_id, 0, UNFOLLOWED + 0.1) is None


def test_a_change_of_the_connection_drops_all_of_its_accounts_and_no_other(cache: TokenCache) -> None:
    connection = uuid4()
    mine, also, other = token(connection), token(connection), token()
    for each in (mine, also, other):
        cache.put(each, 0.0, 3600)
    cache.drop(str(connection))
    assert [cache.find(each.account_id, 0, 1) for each in (mine, also, other)] == [None, None, other]
    assert cache.find(str(mine.account_id), 0, 1) is None


def test_a_change_of_one_account_drops_it_alone(cache: TokenCache) -> None:
    connection = uuid4()
    mine, also = token(connection), token(connection)
    for each in (mine, also):
        cache.put(each, 0.0, 3600)
    cache.drop(str(mine.account_id))
    assert [cache.find(each.account_id, 0, 1) for each in (mine, also)] == [None, also]


def test_a_token_that_was_asked_for_before_a_change_is_not_kept_after_it(cache: TokenCache) -> None:
    coming = token()
    begun = cache.begin()
    cache.drop(str(coming.connection_id))
    assert cache.is_outdated(coming, begun)
    later = cache.begin()
    assert not cache.is_outdated(coming, later)
    cache.end()
    cache.end()
    assert not cache.is_outdated(coming, begun), "nothing is remembered once no flight is under way"


def test_what_is_remembered_is_bounded(cache: TokenCache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 10)
    first, *others = [token() for _ in range(11)]
    for each in (first, *others):
        cache.put(each, 0.0, 3600)
    assert cache.find(first.account_id, 0, 1) is None
    assert all(cache.find(each.account_id, 0, 1) is each for each in others)


def test_a_token_is_not_shown(cache: TokenCache) -> None:
    kept = token(value="secret-value")
    cache.put(kept, 0.0, 3600)
    assert "secret-value" not in repr(kept) + repr(cache)
    assert kept.headers == {"Authorization": "Bearer secret-value"}
    assert kept.model_copy(update={"scheme": "", "header": "Access-Token"}).headers == {"Access-Token": "secret-value"}
