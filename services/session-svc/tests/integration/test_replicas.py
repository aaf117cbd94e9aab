"""Two replicas behind the gateway, as processes: SIGKILL at bad moments, and keys that rotate under load."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import jwt
import pytest
import pytest_asyncio

from common.crypto import Keyring
from common.kafka import KafkaSettings, Record, TopicReader
from common.outbox import SHARDS
from common.postgres import open_pool
from common.runtime import tasks
from common.runtime.clock import SystemClock
from common.testing import eventually, stack
from common.testing.processes.ports import choose_port
from session_svc.core.people import Role
from session_svc.operations import setup
from session_svc.operations.hashing import PasswordHasher

if TYPE_CHECKING:
    from common.postgres import Pool

pytestmark = pytest.mark.asyncio(loop_scope="session")

PASSWORD = "correct horse battery staple"
JWKS_MAX_AGE_S = 1
BROWSERS = 6
ADMIN = "admin@example.com"
EXAMPLE = Path(__file__).parents[1] / "examples" / "backend_service.py"


@dataclass
class Replica:
    """One `session-svc` process."""

    arguments: tuple[str, ...]
    environment: dict[str, str]
    url: str
    log: Path
    probe: str = ""
    """Where it says that it is ready, if not at its `url`."""
    process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        with self.log.open("ab") as out:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, *self.arguments, env=self.environment, stdout=out, stderr=out
            )

    async def end(self, number: signal.Signals) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.send_signal(number)
            async with asyncio.timeout(15):
                await self.process.wait()


@dataclass
class Cluster:
    """Two replicas and a gateway."""

    pool: "Pool"
    http: aiohttp.ClientSession
    one: Replica
    two: Replica
    gateway: Replica
    command: Callable[..., Awaitable[str]]
    kafka: KafkaSettings
    emails: list[str] = field(default_factory=list)
    admin: str = ADMIN

    async def ready(self, replica: Replica) -> None:
        async def check() -> bool:
            try:
                async with self.http.get(f"{replica.probe or replica.url}/readyz") as answer:
                    return answer.status == 200
            except aiohttp.ClientConnectionError:
                assert replica.process is not None
                assert replica.process.returncode is None, replica.log.read_text()[-2000:]
                return False

        await eventually(check, 40, what=f"{replica.url} is ready")

    async def call(self, method: str, path: str, cookie: str | None = None, **more: Any) -> tuple[int, Any, str | None]:
        """Status, body and new cookie."""
        headers = {"Origin": self.gateway.url} | ({"Cookie": f"wevion_session={cookie}"} if cookie else {})
        async with self.http.request(method, self.gateway.url + path, headers=headers, **more) as answer:
            new = answer.headers.get("Set-Cookie", "").partition("wevion_session=")[2].partition(";")[0] or None
            body = await answer.read()
            return answer.status, (await answer.json(content_type=None)) if body else None, new

    async def sign_in(self, email: str) -> str:
        status, body, cookie = await self.call(
            "POST", "/api/v1/auth/sign-in", json={"email": email, "password": PASSWORD}
        )
        assert status == 200, body
        assert cookie is not None
        return cookie


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def cluster(
    postgres_server: str, kafka_server: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Cluster]:
    folder = tmp_path_factory.mktemp("cluster")
    dsn = await stack.clone_database(postgres_server, await stack.ensure_template(postgres_server, "session_svc"))
    kafka = stack.KafkaForTest(bootstrap=kafka_server, prefix=stack.unique_name("test") + ".")
    await kafka.create_topics()
    Keyring.generate().write(folder / "keyring.json")
    urls = [f"http://127.0.0.1:{choose_port()}" for _ in range(3)]
    shared = {
        "PATH": "/usr/bin:/bin",
        "WEVION_DATABASE_URL": dsn,
        "WEVION_KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap,
        "WEVION_KAFKA_TOPIC_PREFIX": kafka.prefix,
        "WEVION_PUBLIC_URL": urls[2],
        "WEVION_ISSUER": urls[2],
        "WEVION_JWKS_URL": f"{urls[0]}/.well-known/jwks.json",
        "WEVION_KEYRING_FILE": str(folder / "keyring.json"),
        "WEVION_PASSWORD_MEMORY_KIB": "8",
        "WEVION_PASSWORD_PASSES": "1",
        # A key lives three seconds and is published 1.4 s before: rotations in minutes instead of months.
        "WEVION_JWKS_MAX_AGE_S": str(JWKS_MAX_AGE_S),
        "WEVION_KEYS_RELOAD_S": "0.2",
        "WEVION_KEY_SIGNS_FOR_S": "3",
        "WEVION_SESSION_URL": f"{urls[0]},{urls[1]}",
        "WEVION_LOG_LEVEL": "warning",
        "WEVION_DRAIN_S": "1",
        "WEVION_LAME_DUCK_S": "0",
    }

    def replica(number: int, package: str) -> Replica:
        environment = shared | {"WEVION_HTTP_PORT": urls[number].rpartition(":")[2]}
        return Replica(("-m", package, "run"), environment, urls[number], folder / f"{number}.log")

    async def command(*arguments: str) -> str:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "session_svc", *arguments, env=shared, stdout=asyncio.subprocess.PIPE
        )
        async with asyncio.timeout(30):
            said, _ = await process.communicate()
        assert process.returncode == 0
        return said.decode()

    operators_port = choose_port()
    shared["WEVION_OPERATORS_PORT"] = str(operators_port)
    one, two, gateway = replicas = (replica(0, "session_svc"), replica(1, "session_svc"), replica(2, "gateway"))
    gateway.probe = f"http://127.0.0.1:{operators_port}"
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
        pool = await open_pool(dsn, application_name="test", max_size=2)
        made = Cluster(pool, http, one, two, gateway, command, kafka.settings)
        try:
            await asyncio.gather(*(each.start() for each in replicas))
            await asyncio.gather(*(made.ready(each) for each in replicas))
            made.emails = await _people(pool)
            yield made
        finally:
            await asyncio.gather(*(each.end(signal.SIGTERM) for each in replicas))
            await pool.close()
    await kafka.delete_topics()
    await stack.drop_database(postgres_server, dsn)


async def _people(pool: "Pool") -> list[str]:
    now, hasher = SystemClock().now(), PasswordHasher(memory_kib=8, passes=1)
    workspace_id, _ = await setup.create_workspace(pool, name="Acme", workspace_id=None, now=now)
    emails = [f"user{number}@example.com" for number in range(BROWSERS)]
    for email in (*emails, ADMIN):
        await setup.create_user(
            pool,
            hasher,
            email=email,
            name="User",
            password=PASSWORD,
            workspace_id=workspace_id,
            role=Role.OWNER if email == ADMIN else Role.MEMBER,
            time_zone="UTC",
            locale="en",
            support_admin=False,
            now=now,
        )
    hasher.close()
    return emails


@dataclass
class Verifiers:
    """The example of the README, three times, as processes that know only JWKS and Kafka."""

    cluster: Cluster
    urls: list[str]

    async def statuses(self, token: str) -> list[int]:
        """What each of them answers to this JWT."""
        return list(await asyncio.gather(*(self._status(url, token) for url in self.urls)))

    async def _status(self, url: str, token: str) -> int:
        headers = {"Authorization": f"Bearer {token}"}
        async with self.cluster.http.get(f"{url}/api/v1/greeting", headers=headers) as answer:
            return answer.status


@contextlib.asynccontextmanager
async def verifying(cluster: Cluster) -> AsyncIterator[Verifiers]:
    urls = [f"http://127.0.0.1:{choose_port()}" for _ in range(3)]
    processes = [
        Replica(
            (str(EXAMPLE),),
            cluster.gateway.environment | {"WEVION_HTTP_PORT": url.rpartition(":")[2]},
            url,
            cluster.gateway.log.with_name(f"verifier-{url.rpartition(':')[2]}.log"),
        )
        for url in urls
    ]
    try:
        await asyncio.gather(*(one.start() for one in processes))
        await asyncio.gather(*(cluster.ready(one) for one in processes))
        yield Verifiers(cluster, urls)
    finally:
        await asyncio.gather(*(one.end(signal.SIGTERM) for one in processes))


async def test_forced_logout_reaches_every_verifier(cluster: Cluster) -> None:
    admin, cookie = await cluster.sign_in(cluster.admin), await cluster.sign_in(cluster.emails[0])
    _, session, _ = await cluster.call("GET", "/api/v1/auth/session", cookie)
    _, minted, _ = await cluster.call("POST", "/api/v1/auth/token", cookie)
    async with verifying(cluster) as verifiers:
        assert await verifiers.statuses(minted["token"]) == [200] * 3

        path = f"/api/v1/admin/users/{session['user_id']}/force-logout"
        assert (await cluster.call("POST", path, admin))[0] == 200

        async def refused_everywhere() -> bool:
            return await verifiers.statuses(minted["token"]) == [401] * 3

        await eventually(refused_everywhere, 30)  # how fast it is, bench P7 measures


# A relay that has the outbox keeps it for an hour, however often it renews: nobody can take over from a dead one.
_LONG_LEASES = """
CREATE FUNCTION keep_long() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.expires_at > now() THEN NEW.expires_at := now() + interval '1 hour'; END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER keep_long BEFORE INSERT OR UPDATE ON relay_lease FOR EACH ROW EXECUTE FUNCTION keep_long();
"""
_ORDINARY_LEASES = """
DROP TRIGGER keep_long ON relay_lease;
DROP FUNCTION keep_long;
UPDATE relay_lease SET expires_at = '-infinity';
"""
_SENT = 'wevion_outbox_express_total{outcome="sent"} '
_HOLDERS = "SELECT DISTINCT owner FROM relay_lease WHERE expires_at > now() + interval '50 minutes'"


async def test_forced_logout_does_not_wait_for_the_lease_of_a_dead_relay(cluster: Cluster) -> None:
    survivor, victim = cluster.one, cluster.two
    admin, cookie = await cluster.sign_in(cluster.admin), await cluster.sign_in(cluster.emails[0])
    _, session, _ = await cluster.call("GET", "/api/v1/auth/session", cookie)
    _, minted, _ = await cluster.call("POST", "/api/v1/auth/token", cookie)
    sid = session["session_id"]
    revocations: list[Record] = []

    async def follow() -> None:
        async for record in TopicReader(cluster.kafka, "token.revoked", "token.state"):
            if record.key == sid and record.value is not None and b'"active"' not in record.value:
                revocations.append(record)  # noqa: PERF401  they are looked at as they come

    async def victim_has_every_shard() -> bool:
        shards = await cluster.pool.fetchval("SELECT count(*) FROM relay_lease")
        return shards == SHARDS and len(await cluster.pool.fetch(_HOLDERS)) == 1

    async def survivor_sends_by_itself() -> bool:
        """It has found Kafka: a sign-out there was sent though it has no shard."""
        sign_in = {"email": cluster.emails[1], "password": PASSWORD}
        async with cluster.http.post(f"{survivor.url}/api/v1/auth/sign-in", json=sign_in) as answer:
            signed_in = {"Cookie": answer.headers["Set-Cookie"].partition(";")[0]}
        async with cluster.http.post(f"{survivor.url}/api/v1/auth/sign-out", headers=signed_in) as answer:
            assert answer.status == 204
        async with cluster.http.get(f"{survivor.url}/metrics") as answer:
            lines = (await answer.text()).splitlines()
        return float(next(x for x in lines if x.startswith(_SENT)).removeprefix(_SENT)) > 0

    async def refused_everywhere() -> bool:
        return await verifiers.statuses(minted["token"]) == [401] * 3

    following = asyncio.create_task(follow())
    try:
        async with verifying(cluster) as verifiers:
            await survivor.end(signal.SIGTERM)  # which gives its shards up
            await cluster.pool.execute(_LONG_LEASES)
            await eventually(victim_has_every_shard, 30)
            await survivor.start()
            await cluster.ready(survivor)
            await eventually(survivor_sends_by_itself, 30)
            assert await verifiers.statuses(minted["token"]) == [200] * 3

            await victim.end(signal.SIGKILL)
            path = f"/api/v1/admin/users/{session['user_id']}/force-logout"
            assert (await cluster.call("POST", path, admin))[0] == 200
            await eventually(refused_everywhere, 30)

            # No relay had a hand in it: the dead one's leases are good for most of an hour, and the rows wait.
            assert await victim_has_every_shard()
            waiting = await cluster.pool.fetch("SELECT topic FROM outbox WHERE key = $1 ORDER BY topic", sid)
            assert [row["topic"] for row in waiting] == ["token.revoked", "token.state"]
            await eventually(lambda: len(revocations) == 2, 30)
    finally:
        await cluster.pool.execute(_ORDINARY_LEASES)
        await victim.start()
        await cluster.ready(victim)
    # The guarantee goes on: the relay sends the same events, and nobody could tell the copies apart.
    await eventually(lambda: len(revocations) == 4, 30)
    await tasks.cancel(following)
    copies = {topic: [one for one in revocations if one.topic == topic] for topic in ("token.revoked", "token.state")}
    for first, second in copies.values():
        assert first.value == second.value
        assert dict(first.headers) == dict(second.headers)


@contextlib.asynccontextmanager
async def load(work: Callable[[int], Awaitable[None]], lanes: int = BROWSERS) -> AsyncIterator[None]:
    """Do `work` over and over in so many lanes; what it raises is raised at the end."""
    stop = asyncio.Event()

    async def lane(number: int) -> None:
        while not stop.is_set():
            await work(number)

    tasks = [asyncio.create_task(lane(number)) for number in range(lanes)]
    try:
        yield
    finally:
        stop.set()
        await asyncio.gather(*tasks)


async def test_sigkill_of_either_replica_loses_no_session_and_revives_none(cluster: Cluster) -> None:
    cookies = [await cluster.sign_in(email) for email in cluster.emails]
    ended: set[int] = set()
    minted = [0] * BROWSERS
    wrong: list[str] = []

    async def renew(number: int) -> None:
        was_ended = number in ended
        status, body, _ = await cluster.call("POST", "/api/v1/auth/token", cookies[number])
        if status == 200:
            minted[number] += 1
            if was_ended:
                wrong.append(f"{number}: a JWT for an ended session")
        elif not was_ended and number not in ended:
            wrong.append(f"{number}: {status} {body}")

    async def sign_out(number: int) -> None:
        # A sign-out whose answer was lost may be repeated: the second one finds nothing to do.
        async def done() -> bool:
            status, _, _ = await cluster.call("POST", "/api/v1/auth/sign-out", cookies[number])
            return status == 204

        await eventually(done, 10)
        ended.add(number)

    async def others_went_on() -> None:
        before = list(minted)
        await eventually(
            lambda: all(minted[n] > before[n] + 3 for n in range(BROWSERS) if n not in ended), 15, what="JWTs go on"
        )

    async with load(renew):
        await others_went_on()
        for victim, number in ((cluster.one, 0), (cluster.two, 1)):
            await asyncio.gather(victim.end(signal.SIGKILL), sign_out(number))
            await others_went_on()
            await victim.start()
            await cluster.ready(victim)
            await others_went_on()

    assert wrong == []
    statuses = [(await cluster.call("POST", "/api/v1/auth/token", cookie))[0] for cookie in cookies]
    assert statuses == [401, 401, *[200] * (BROWSERS - 2)]


async def test_keys_rotate_under_load_without_one_failed_verification(cluster: Cluster) -> None:
    cookies = [await cluster.sign_in(email) for email in cluster.emails]
    loop = asyncio.get_running_loop()
    used: set[str] = set()
    failures: list[str] = []
    cached: dict[str, tuple[float, jwt.PyJWKSet]] = {}

    async def jwks_as_old_as_allowed(url: str) -> jwt.PyJWKSet:
        """The strictest verifier there may be: it keeps a JWKS for its whole max-age, and never asks in between."""
        found = cached.get(url)
        if found is None or loop.time() - found[0] > JWKS_MAX_AGE_S:
            async with cluster.http.get(f"{url}/.well-known/jwks.json") as answer:
                assert answer.headers["Cache-Control"] == f"public, max-age={JWKS_MAX_AGE_S}"
                found = cached[url] = (loop.time(), jwt.PyJWKSet.from_dict(await answer.json(content_type=None)))
        return found[1]

    async def mint_and_verify(number: int) -> None:
        # Minted by one replica, verified with the keys that the other one showed.
        source, other = (cluster.one, cluster.two) if number % 2 else (cluster.two, cluster.one)
        keys = await jwks_as_old_as_allowed(other.url)
        headers = {"Cookie": f"wevion_session={cookies[number]}"}
        async with cluster.http.post(f"{source.url}/api/v1/auth/token", headers=headers) as answer:
            token = (await answer.json())["token"]
        kid = jwt.get_unverified_header(token)["kid"]
        used.add(kid)
        try:
            jwt.decode(token, keys[kid], algorithms=["EdDSA"], audience="wevion")
        except (KeyError, jwt.InvalidTokenError) as error:
            failures.append(f"{kid}: {error!r}")
        status, body, _ = await cluster.call("GET", "/api/v1/auth/sessions", cookies[number])
        if status != 200:
            failures.append(f"gateway: {status} {body}")

    async with load(mint_and_verify):
        await eventually(lambda: len(used) >= 2, 15, what="the schedule rotates")
        await cluster.command("rotate-keys", "--json")
        await eventually(lambda: len(used) >= 4, 15, what="the schedule and the command rotate")

    assert failures == []
    active = await cluster.pool.fetchval("SELECT count(*) FROM signing_keys WHERE signs_until IS NULL")
    assert active == 1
