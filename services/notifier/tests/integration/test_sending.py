"""Messages on their way: refusals, outages, crashes between any two steps, and renewal at any step."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any, ClassVar

import pytest

from common.contracts import IssuedHow, NoticeChannel
from common.postgres import transaction
from common.runtime.ids import new_id
from notifier import metrics, sweep
from notifier.channels.email.channel import MailChannel
from notifier.channels.email.letters import Letters
from notifier.channels.throttle import Throttle
from notifier.core.channels import ChannelLimits
from notifier.core.deliveries import Finished
from notifier.core.delivery import Outcome, SendOutcome, State
from notifier.operations import sending
from notifier.store import deliveries

MIA = "mia@agency.example"


def _next(token: Any, version: int) -> Any:
    return token.model_copy(update={"version": version})


@pytest.fixture
async def dead(world: Any, connector: Any) -> Any:
    token = world.token(connector)
    await world.issued(token)
    await world.know_people()
    await world.revoked(_next(token, 2))
    return token


async def test_a_refused_address_is_final_until_it_changes(world: Any, dead: Any) -> None:
    world.mailbox.refusals[MIA] = "550 5.1.1 no such user"
    await world.later()
    await world.later(timedelta(days=1))
    assert await world.count("SELECT count(*) FROM delivery WHERE state = 'failed' AND reason = 'address_dead'") == 1
    world.mailbox.refusals.clear()
    other = world.token(world.people["mia"], provider="tiktok")
    await world.issued(other)
    await world.revoked(_next(other, 2))
    await world.later()
    assert world.mailbox.to(MIA) == []
    assert len(world.mailbox.to("ada@agency.example")) == 2


async def test_a_passing_refusal_is_tried_again_with_growing_waits(world: Any, dead: Any) -> None:
    world.mailbox.refusals[MIA] = "451 4.7.1 greylisted, come back"
    await world.later()
    await world.later(timedelta(seconds=4))
    assert await world.count("SELECT attempts FROM delivery WHERE state = 'retry'") == 1
    await world.later(timedelta(seconds=2))
    assert await world.count("SELECT attempts FROM delivery WHERE state = 'retry'") == 2
    world.mailbox.refusals.clear()
    await world.later(timedelta(seconds=11))
    assert len(world.mailbox.to(MIA)) == 1


async def test_what_is_refused_for_a_day_is_given_up(world: Any, dead: Any) -> None:
    world.mailbox.refusals[MIA] = "451 4.7.1 greylisted, come back"
    for _ in range(4):
        await world.later(timedelta(hours=9))
    assert await world.count("SELECT count(*) FROM delivery WHERE state = 'failed' AND reason = 'gave_up'") == 1


async def test_a_renewal_between_two_tries_stops_the_message(world: Any, dead: Any) -> None:
    world.mailbox.refusals[MIA] = "451 4.7.1 greylisted, come back"
    await world.later()
    await world.issued(_next(dead, 3), how=IssuedHow.REAUTHORIZE)
    world.mailbox.refusals.clear()
    await world.later(timedelta(minutes=1))
    assert [mail["Subject"] for mail in world.mailbox.to(MIA)] == []


async def test_a_server_that_is_away_costs_no_attempt_and_loses_nothing(world: Any, dead: Any) -> None:
    channel = world.deps.channels[NoticeChannel.EMAIL]
    port, channel._server = channel._server.port, _with_port(channel._server, 1)
    await world.later()
    assert await world.count("SELECT max(attempts) FROM delivery") == 0
    channel._server = _with_port(channel._server, port)
    await world.later(timedelta(minutes=1))
    assert len(world.mailbox.mails) == 3


async def test_a_crash_between_accepted_and_noted_repeats_the_same_message_id(world: Any, dead: Any) -> None:
    claimed = await _claim(world)
    assert len(claimed) == 3
    channel = world.deps.channels[NoticeChannel.EMAIL]
    # The process presents a mail and dies before it can note that: nothing but its lease is left.
    from notifier.operations.composing import compose  # noqa: PLC0415

    async with transaction(world.deps.pool) as db:
        batch = await compose(db, world.deps, channel, claimed, world.clock.now())
    await channel.send(batch.ready[0].parcel)
    await _end_leases(world)
    await world.later()
    ids = [mail["Message-ID"] for mail in world.mailbox.mails]
    assert len(ids) == 4
    assert len(set(ids)) == 3


async def test_a_claim_that_lost_its_lease_cannot_write(world: Any, dead: Any) -> None:
    zombie = await _claim(world)
    await _end_leases(world)
    await world.later()
    assert len(world.mailbox.mails) == 3
    async with transaction(world.deps.pool) as db:
        ends = [
            Finished(
                delivery_id=item.delivery_id,
                epoch=item.epoch,
                state=State.RETRY,
                due_at=world.clock.now(),
                attempts=1,
                reason="zombie",
                reference="",
            )
            for item in zombie
        ]
        assert await deliveries.finish(db, ends, world.clock.now()) == frozenset()
    await world.later()
    assert len(world.mailbox.mails) == 3


async def test_two_senders_at_once_send_each_message_once(world: Any, dead: Any) -> None:
    world.clock.advance(timedelta(seconds=5))
    channel = world.deps.channels[NoticeChannel.EMAIL]
    await asyncio.gather(*(sending.send_due(world.deps, channel, world.clock.now()) for _ in range(4)))
    assert len(world.mailbox.mails) == 3


STEPS = ("before_claim", "after_claim", "while_presenting", "after_sending")


@pytest.mark.parametrize("step", STEPS)
async def test_renewed_between_any_two_steps_is_not_sent(world: Any, dead: Any, step: str) -> None:
    """A re-authorisation at each step: nothing is said that is over, or it is followed up once, when it had left."""

    async def renew() -> None:
        world.mailbox.before_accept = None
        await world.issued(_next(dead, 3), how=IssuedHow.REAUTHORIZE)

    if step == "before_claim":
        await renew()
    elif step == "after_claim":
        await _claim(world)
        await renew()
        await _end_leases(world)
    elif step == "while_presenting":
        world.mailbox.before_accept = renew
    await world.later()
    if step == "after_sending":
        await renew()
    await world.later()
    await world.later(timedelta(hours=2))
    said = [mail["Subject"] for mail in world.mailbox.to(MIA)]
    if step in ("before_claim", "after_claim"):
        assert said == []
    else:
        assert said == ["Meta access was ended", "Meta works again"]


async def test_a_sender_that_answers_after_its_lease_does_not_make_two_follow_ups(world: Any, dead: Any) -> None:
    await world.later()
    await world.issued(_next(dead, 3), how=IssuedHow.REAUTHORIZE)
    await world.state(_next(dead, 4), world_status())
    await world.later()
    await world.later(timedelta(hours=1))
    assert len(world.mailbox.to(MIA)) == 2


def world_status() -> Any:
    from common.contracts import TokenStatus  # noqa: PLC0415

    return TokenStatus.ACTIVE


async def test_nothing_is_left_to_do_after_a_round(world: Any, dead: Any) -> None:
    await world.later()
    status = await sending.send_due(world.deps, world.deps.channels[NoticeChannel.EMAIL], world.clock.now())
    assert status == sending.SendStatus(0, 0, 0, more=False)


class _Once(MailChannel):
    """A channel whose repeats nobody could recognise (as a chat's), with an answer that a test chooses."""

    limits: ClassVar = ChannelLimits(repeat_is_recognised=False)

    def __init__(self, world: Any) -> None:
        mail = world.deps.channels[NoticeChannel.EMAIL]
        letters = Letters(world.deps.texts, None)
        super().__init__(
            mail._server,
            letters=letters,
            throttle=Throttle(rate=1, burst=1, clock=world.clock),
            clock=world.clock,
            retry=mail.retry,
        )
        self.presented = 0
        self.outcome = Outcome(SendOutcome.ACCEPTED)

    async def send(self, _parcel: Any) -> Outcome:
        self.presented += 1
        return self.outcome


async def test_what_may_have_been_presented_on_such_a_channel_is_not_presented_again(world: Any, dead: Any) -> None:
    channel = _Once(world)
    claimed = await _claim(world)
    async with transaction(world.deps.pool) as db:
        assert await deliveries.mark_calling(db, claimed[0].delivery_id, claimed[0].epoch, timedelta(seconds=0))
    await _end_leases(world)
    await sending.send_due(world.deps, channel, world.clock.now())
    assert channel.presented == 2
    assert await world.count("SELECT count(*) FROM delivery WHERE state = 'unknown'") == 1


def _with_port(server: Any, port: int) -> Any:
    return replace(server, port=port)


async def _claim(world: Any) -> Any:
    world.clock.advance(timedelta(seconds=5))
    async with transaction(world.deps.pool) as db:
        return await deliveries.claim(db, NoticeChannel.EMAIL, world.clock.now(), lease=world.deps.lease, limit=10)


async def _end_leases(world: Any) -> None:
    await world.deps.pool.execute(
        "UPDATE delivery SET lease_until = now() - interval '1 second' WHERE lease_until > now()"
    )


async def test_while_the_server_is_away_it_is_asked_once_and_no_message_pays_for_it(world: Any, dead: Any) -> None:
    channel, deps = _Once(world), replace(world.deps, parallel=1)
    channel.outcome = Outcome(SendOutcome.CHANNEL_DOWN, detail="away")
    world.clock.advance(timedelta(seconds=5))
    status = await sending.send_due(deps, channel, world.clock.now())
    assert channel.presented == 1
    assert status.wait_s > 0
    assert await world.count("SELECT count(*) FROM delivery WHERE state = 'retry' AND attempts = 0") == 3
    channel.outcome = Outcome(SendOutcome.ACCEPTED)
    assert (await sending.send_due(deps, channel, world.clock.now() + timedelta(seconds=1))).sent == 0
    assert (await sending.send_due(deps, channel, world.clock.now() + timedelta(seconds=6))).sent == 3


async def test_the_sender_leaves_a_busy_server_alone_also_when_it_is_poked(world: Any, dead: Any) -> None:
    channel = _Once(world)
    channel.outcome = Outcome(SendOutcome.TRY_LATER, retry_after_s=40)
    world.clock.advance(timedelta(seconds=5))
    sender = sweep.sender(replace(world.deps, parallel=1), channel, world.clock)
    await sender.run_once()
    other = world.token(world.people["mia"], provider="tiktok")
    await world.issued(other)
    await world.revoked(_next(other, 2))
    world.clock.advance(timedelta(seconds=35))
    await sender.run_once()
    assert channel.presented == 1
    channel.outcome = Outcome(SendOutcome.ACCEPTED)
    world.clock.advance(timedelta(seconds=6))
    await sender.run_once()
    assert channel.presented == 1 + 3 + 3


async def test_whom_the_first_mail_did_not_reach_gets_no_follow_up(world: Any, dead: Any) -> None:
    world.mailbox.refusals[MIA] = "550 5.1.1 no such user"
    await world.later()
    world.mailbox.refusals.clear()
    await world.issued(_next(dead, 3), how=IssuedHow.REAUTHORIZE)
    await world.later()
    await world.later(timedelta(hours=1))
    assert world.mailbox.to(MIA) == []
    assert [mail["Subject"] for mail in world.mailbox.to("ada@agency.example")][1:] == ["Meta works again"]


async def test_a_message_that_the_server_refuses_is_final_and_the_address_stays_good(world: Any, dead: Any) -> None:
    world.mailbox.refusals["DATA"] = "554 5.6.0 bad content"
    await world.later()
    world.mailbox.refusals.clear()
    await world.later(timedelta(days=1))
    assert world.mailbox.mails == []
    assert await world.count("SELECT count(*) FROM delivery WHERE state = 'failed' AND reason = 'refused'") == 3
    assert await world.count("SELECT count(*) FROM dead_address") == 0


@pytest.mark.parametrize(
    "stage_and_reply",
    [("MAIL", "554 5.7.1 your sender is refused"), (MIA, "550 5.7.1 your host is on a list"), ("DATA", "554 5.7.1 no")],
)
async def test_what_is_refused_because_of_us_is_kept_and_goes_out_later(
    world: Any, dead: Any, stage_and_reply: tuple[str, str]
) -> None:
    stage, reply = stage_and_reply
    world.mailbox.refusals[stage] = reply
    await world.later()
    assert world.mailbox.to(MIA) == []
    assert await world.count("SELECT count(*) FROM dead_address") == 0
    world.mailbox.refusals.clear()
    await world.later(timedelta(hours=1))
    assert len(world.mailbox.to(MIA)) == 1


async def test_a_refused_address_is_tried_again_after_a_while(world: Any, dead: Any) -> None:
    world.mailbox.refusals[MIA] = "550 5.1.1 no such user"
    await world.later()
    world.mailbox.refusals.clear()
    for days, mails in ((13, 0), (2, 1)):
        world.clock.advance(timedelta(days=days))
        other = world.token(world.people["mia"], provider="tiktok")
        await world.issued(other)
        await world.revoked(_next(other, 2))
        await world.later()
        assert len(world.mailbox.to(MIA)) == mails


async def test_what_failed_is_delivered_again_on_order_if_it_is_still_true(world: Any, dead: Any) -> None:
    world.mailbox.refusals["DATA"] = "554 5.6.0 bad content"
    await world.later()
    other = world.token(world.people["mia"], provider="tiktok")
    await world.issued(other)
    await world.revoked(_next(other, 2))
    await world.later()
    world.mailbox.refusals.clear()
    await world.issued(_next(other, 3), how=IssuedHow.REAUTHORIZE)
    began = world.clock.now() - timedelta(hours=1)
    assert await sending.resend(world.deps, notice_id=new_id(), since=began, now=world.clock.now()) == 0
    assert await sending.resend(world.deps, notice_id=None, since=began, now=world.clock.now()) == 6
    await world.later()
    assert [mail["Subject"] for mail in world.mailbox.to(MIA)] == ["Meta access was ended"]
    assert await sending.resend(world.deps, notice_id=None, since=began, now=world.clock.now()) == 0


async def test_what_waits_is_counted_with_its_retries_and_has_an_age(world: Any, dead: Any) -> None:
    world.mailbox.refusals["MAIL"] = "554 5.7.1 your sender is refused"
    await world.later()
    world.clock.advance(timedelta(minutes=10))
    await sending.measure(world.deps, world.clock.now())
    assert metrics.BACKLOG.labels("email")._value.get() == 3
    assert metrics.OLDEST.labels("email")._value.get() == pytest.approx(600)
    world.mailbox.refusals.clear()
    await world.later()
    await sending.measure(world.deps, world.clock.now())
    assert metrics.BACKLOG.labels("email")._value.get() == 0
    assert metrics.OLDEST.labels("email")._value.get() == 0


async def test_when_there_are_many_the_rest_is_one_digest(world: Any, connector: Any) -> None:
    providers = ["meta", "tiktok", "taboola", "snapchat", "outbrain", "google-ads", "stripe", "acme"]
    await world.know_people_of()
    for provider in providers:
        token = world.token(connector, provider=provider)
        await world.issued(token, expires_in=timedelta(days=6))
        await world.expiring(token, "7d", world.clock.now() + timedelta(days=6))
        await world.later(timedelta(minutes=1))
    assert len(world.mailbox.to(MIA)) == 5
    await world.later(timedelta(hours=1))
    assert len(world.mailbox.to(MIA)) == 6
    assert world.mailbox.to(MIA)[-1]["Subject"] == "3 connections need you"


async def test_a_server_that_shuts_down_in_the_middle_gets_the_rest_later(world: Any, dead: Any) -> None:
    world.mailbox.refusals[MIA] = "421 4.3.2 shutting down"
    await world.later()
    assert await world.count("SELECT count(*) FROM delivery WHERE state = 'retry' AND attempts > 0") == 0
    world.mailbox.refusals.clear()
    await world.later(timedelta(seconds=10))
    assert len(world.mailbox.mails) == 3
