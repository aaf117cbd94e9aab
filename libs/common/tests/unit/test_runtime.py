"""Time, ids, retries, periodic work, settings: the small promises everything else stands on."""

import asyncio
import contextlib
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, SecretStr

from common.runtime import settings, tasks
from common.runtime.ids import new_id, random_token
from common.runtime.periodic import Periodic
from common.runtime.retry import Backoff, fraction


@given(st.integers(1, 200), st.text(max_size=20))
def test_a_wait_is_bounded_and_the_same_everywhere(attempt: int, seed: str) -> None:
    waits = Backoff(base_s=0.5, cap_s=30, jitter=0.3)
    delay = waits.delay(attempt, seed)
    assert 0.5 * 0.7 <= delay <= 30
    assert delay == Backoff(base_s=0.5, cap_s=30, jitter=0.3).delay(attempt, seed)


@given(st.text())
def test_a_fraction_is_in_its_range(seed: str) -> None:
    assert 0 <= fraction(seed) < 1


@pytest.mark.parametrize(("base", "cap", "jitter"), [(0, 1, 0.1), (2, 1, 0.1), (1, 2, 1.5), (-1, 2, 0)])
def test_a_nonsense_backoff_is_refused(base: float, cap: float, jitter: float) -> None:
    with pytest.raises(ValueError, match="must be"):
        Backoff(base_s=base, cap_s=cap, jitter=jitter)


def test_ids_are_version_7_and_ordered() -> None:
    ids = [new_id() for _ in range(1000)]
    assert {identity.version for identity in ids} == {7}
    assert ids == sorted(ids)
    assert len(set(ids)) == 1000


def test_a_random_token_is_url_safe_and_long() -> None:
    token = random_token()
    assert len(token) == 43
    assert set(token) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


@dataclass(frozen=True)
class Done:
    more: bool


async def test_periodic_work_goes_on_at_once_while_there_is_more() -> None:
    left = [True, True, False]
    finished = asyncio.Event()

    async def activation() -> Done:
        more = left.pop(0)
        if not left:
            finished.set()
        return Done(more)

    work = Periodic("drain", activation, interval_s=3600)
    work.poke()
    task = asyncio.create_task(work.run())
    async with asyncio.timeout(5):
        await finished.wait()
    await tasks.cancel(task)
    assert work.last_status == Done(more=False)


async def test_a_poke_wakes_periodic_work_and_a_failure_does_not_end_it() -> None:
    seen = 0
    arrived = asyncio.Event()

    async def activation() -> None:
        nonlocal seen
        seen += 1
        arrived.set()
        if seen == 1:
            raise RuntimeError("the first one fails")

    work = Periodic("poked", activation, interval_s=3600)
    task = asyncio.create_task(work.run())
    for _ in range(2):
        work.poke()
        async with asyncio.timeout(5):
            await arrived.wait()
        arrived.clear()
    await tasks.cancel(task)
    assert seen == 2
    assert work.failures == 0


async def test_an_activation_is_bounded_in_time() -> None:
    work = Periodic("hangs", asyncio.Event().wait, interval_s=1, timeout_s=0.01)  # type: ignore[arg-type]
    with pytest.raises(TimeoutError):
        await work.run_once()


def test_an_interval_of_nothing_is_refused() -> None:
    async def activation() -> None: ...

    with pytest.raises(ValueError, match="interval_s must be above 0"):
        Periodic("spin", activation, interval_s=0)


async def test_a_supervised_task_that_fails_is_started_again() -> None:
    runs = 0

    async def work() -> None:
        nonlocal runs
        runs += 1
        if runs < 3:
            raise OSError("away")

    async with asyncio.timeout(5):
        await tasks.supervise("flaky", work, Backoff(base_s=0.001, cap_s=0.002))
    assert runs == 3


async def test_a_task_that_swallows_its_cancellation_is_cancelled_again() -> None:
    swallowed = 0

    async def deaf() -> None:
        nonlocal swallowed
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                swallowed += 1
                if swallowed > 1:
                    raise

    task = asyncio.create_task(deaf())
    await asyncio.sleep(0)
    await tasks.cancel(task)
    assert task.cancelled()
    assert swallowed == 2


async def test_a_task_that_never_ends_does_not_hold_up_the_end() -> None:
    released = asyncio.Event()

    async def stubborn() -> None:
        while not released.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await released.wait()

    task = asyncio.create_task(stubborn())
    await asyncio.sleep(0)
    await tasks.cancel(task, within_s=0.05)
    assert not task.done()
    released.set()
    await task


def test_an_error_is_described_with_its_causes() -> None:
    error = RuntimeError("no answer")
    error.__cause__ = OSError("refused")
    assert tasks.describe(error) == "RuntimeError: no answer <- OSError: refused"


class Example(settings.Settings):
    database_url: SecretStr = Field(description="the database")
    port: int = Field(default=80, ge=0, le=65535, description="the port")


def test_a_missing_setting_stops_the_start_with_one_line_that_names_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("WEVION_DATABASE_URL", raising=False)
    with pytest.raises(SystemExit) as stop:
        settings.load(Example)
    assert stop.value.code == 2
    assert capsys.readouterr().err == "setting WEVION_DATABASE_URL: is not set, and it has no default\n"


def test_a_wrong_setting_is_named_with_its_rule_and_without_its_value(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WEVION_DATABASE_URL", "x")
    monkeypatch.setenv("WEVION_PORT", "70000-hunter2")
    with pytest.raises(SystemExit):
        settings.load(Example)
    said = capsys.readouterr().err
    assert said.startswith("setting WEVION_PORT: Input should be a valid integer")
    assert "hunter2" not in said


def test_secrets_come_from_files_and_are_never_printed(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("secrets")
    (folder / "wevion_database_url").write_text("postgresql://someone:hunter2@db.example/x\n")
    monkeypatch.delenv("WEVION_DATABASE_URL", raising=False)
    monkeypatch.setenv("WEVION_SECRETS_DIR", str(folder))
    loaded = settings.load(Example)
    assert loaded.database_url.get_secret_value() == "postgresql://someone:hunter2@db.example/x"
    shown = settings.describe(loaded) + repr(loaded)
    assert "hunter2" not in shown
    assert "(secret, set)" in shown


async def test_a_cancellation_that_a_library_lets_out_does_not_end_supervised_work() -> None:
    runs = 0
    again = asyncio.Event()

    async def work() -> None:
        nonlocal runs
        runs += 1
        if runs == 1:
            raise asyncio.CancelledError
        again.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(tasks.supervise("feed", work, Backoff(base_s=0.01, cap_s=0.01)))
    async with asyncio.timeout(5):
        await again.wait()
    await tasks.cancel(task)
    assert task.cancelled()
    assert runs == 2
