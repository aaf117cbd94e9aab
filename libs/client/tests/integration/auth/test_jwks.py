"""The key set over HTTP: fetched as seldom as allowed, kept when the issuer is away, and not a lever for strangers."""

import asyncio
from typing import Any

import aiohttp
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from wevion_tokens.auth import JwksCache, KeysUnavailableError, keys


@pytest.fixture
def cache(issuer: Any, http: aiohttp.ClientSession) -> JwksCache:
    return JwksCache(http, f"{issuer.url}/jwks")


@pytest.fixture
def quick_refetch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "REFETCH_INTERVAL_S", 0.05)


async def test_one_fetch_serves_everybody_for_its_time(cache: JwksCache, issuer: Any) -> None:
    assert cache.ready() is not None
    await asyncio.gather(*(cache.fresh() for _ in range(20)))
    for _ in range(20):
        await cache.fresh()
        assert await cache.find("k1") is not None
    assert issuer.fetches == 1
    assert cache.ready() is None


async def test_it_is_fetched_again_when_its_time_is_over(cache: JwksCache, issuer: Any) -> None:
    await cache.fresh()
    issuer.keys = {"k2": Ed25519PrivateKey.generate()}
    cache._fresh_until = 0
    before = cache.current
    await cache.fresh()
    assert list(cache.current) == ["k2"]
    assert list(before) == ["k1"]
    assert issuer.fetches == 2


async def test_the_same_keys_are_the_same_mapping(cache: JwksCache) -> None:
    """So that verified tokens need not be verified again after each fetch."""
    await cache.fresh()
    before = cache.current
    cache._fresh_until = 0
    await cache.fresh()
    assert cache.current is before


@pytest.mark.parametrize("broken", ["status", "html", "huge", "redirect"])
async def test_the_old_keys_serve_while_the_issuer_is_away(cache: JwksCache, issuer: Any, broken: str) -> None:
    await cache.fresh()
    issuer.broken = broken
    cache._fresh_until = 0
    for _ in range(10):
        await cache.fresh()
    assert list(cache.current) == ["k1"]
    assert issuer.fetches == 2, "a failed fetch is not repeated at once"
    issuer.broken, cache._not_before = "", 0
    await cache.fresh()
    assert issuer.fetches == 3


async def test_keys_do_not_stay_for_ever(cache: JwksCache, issuer: Any) -> None:
    await cache.fresh()
    issuer.broken = "status"
    cache._fresh_until = cache._usable_until = 0
    with pytest.raises(KeysUnavailableError):
        await cache.fresh()
    assert cache.ready() is not None


async def test_without_any_keys_nothing_is_verified(cache: JwksCache, issuer: Any) -> None:
    issuer.broken = "status"
    with pytest.raises(KeysUnavailableError):
        await cache.fresh()


async def test_an_unreachable_issuer(http: aiohttp.ClientSession) -> None:
    with pytest.raises(KeysUnavailableError):
        await JwksCache(http, "http://127.0.0.1:1/jwks").fresh()


@pytest.mark.usefixtures("quick_refetch")
async def test_a_new_key_is_found_by_one_fetch(cache: JwksCache, issuer: Any) -> None:
    await cache.fresh()
    issuer.keys["k2"] = Ed25519PrivateKey.generate()
    found = await asyncio.gather(*(cache.find("k2") for _ in range(30)))
    assert all(found)
    assert issuer.fetches == 2


@pytest.mark.usefixtures("quick_refetch")
async def test_an_unknown_key_is_asked_for_once(cache: JwksCache, issuer: Any) -> None:
    await cache.fresh()
    for _ in range(20):
        assert await cache.find("nobody") is None
    assert issuer.fetches == 2
    issuer.keys["nobody"] = Ed25519PrivateKey.generate()
    cache._fresh_until = 0
    await cache.fresh()
    assert await cache.find("nobody") is not None, "a fetch that brings it ends the negative entry"


async def test_invented_key_ids_cannot_make_us_call_faster(cache: JwksCache, issuer: Any) -> None:
    await cache.fresh()
    asyncio.get_running_loop().call_later(0.3, lambda: None)
    found = await asyncio.gather(*(cache.find(f"invented-{number}") for number in range(500)))
    assert not any(found)
    assert issuer.fetches == 2
    assert len(cache._unknown) <= 1024


async def test_what_is_remembered_as_unknown_is_bounded(cache: JwksCache) -> None:
    for number in range(5000):
        cache._remember_unknown(str(number), 0.0)
    assert len(cache._unknown) <= 1024
    assert "4999" in cache._unknown


async def test_who_gives_up_does_not_stop_the_others(cache: JwksCache, issuer: Any) -> None:
    issuer.hold = asyncio.Event()
    first, second = asyncio.create_task(cache.fresh()), asyncio.create_task(cache.fresh())
    await asyncio.sleep(0)
    first.cancel()
    issuer.hold.set()
    await second
    assert list(cache.current) == ["k1"]
    assert issuer.fetches == 1
