"""Operators' commands that belong to no single service: topics, dead letters, contract documents."""

import argparse
import asyncio
import json
import sys
from collections.abc import Awaitable
from pathlib import Path

from pydantic import Field

from common.contracts import DEFAULT_PARTITIONS, EVENT_TYPES, TOPICS
from common.contracts.documents import asyncapi, schema_of
from common.kafka import EventProducer, KafkaSettings, TopicError, create_topics
from common.kafka.replay import dead_letters, send_again
from common.runtime import settings as runtime_settings
from common.runtime.errors import PermanentError, RetryableError

SCHEMAS = Path(__file__).parent / "contracts" / "schemas"


class OperatorSettings(runtime_settings.Settings):
    """What the commands need of the cluster."""

    kafka_bootstrap_servers: str = Field(description="host:port of the brokers, separated by commas")
    kafka_topic_prefix: str = Field(default="", description="put before every topic and group name")
    kafka_partitions: int = Field(default=DEFAULT_PARTITIONS, ge=1, le=512, description="partitions of each topic")
    kafka_replication_factor: int = Field(
        default=1, ge=1, le=7, description="copies of each partition; 3 in production"
    )

    def kafka(self) -> KafkaSettings:
        """Return the connection settings."""
        return KafkaSettings(
            bootstrap_servers=self.kafka_bootstrap_servers,
            client_id="wevion-operator",
            topic_prefix=self.kafka_topic_prefix,
        )


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    parser = argparse.ArgumentParser(prog="common", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("topics", help="create every topic with its partitions and retention; safe to repeat")
    replay = verbs.add_parser("replay", help="dead letters: list them, show one, send them again")
    replay.add_argument("action", choices=("list", "show", "send"))
    replay.add_argument("topic", nargs="?", help="the topic that the records came from, such as token.revoked")
    replay.add_argument("offset", nargs="?", help="which record; `all` with send")
    snapshots = verbs.add_parser("snapshots", help="rewrite the stored schemas and the AsyncAPI document")
    snapshots.add_argument(
        "--asyncapi", type=Path, default=Path("docs/asyncapi.yaml"), help="where the AsyncAPI document goes"
    )
    arguments = parser.parse_args(argv)
    if arguments.verb == "snapshots":
        write_snapshots(arguments.asyncapi)
        return 0
    settings = runtime_settings.load(OperatorSettings)
    work: Awaitable[int] = _topics(settings) if arguments.verb == "topics" else _replay(settings.kafka(), arguments)
    try:
        return asyncio.run(_as_coroutine(work))
    except (PermanentError, RetryableError, TopicError) as error:
        print(f"common {arguments.verb}: {error}", file=sys.stderr)
        return 1


async def _as_coroutine(work: Awaitable[int]) -> int:
    return await work


async def _topics(settings: OperatorSettings) -> int:
    created = await create_topics(
        settings.kafka(), partitions=settings.kafka_partitions, replication_factor=settings.kafka_replication_factor
    )
    print(f"{len(created)} topics created, {2 * len(TOPICS) - len(created)} were there")
    return 0


async def _replay(settings: KafkaSettings, arguments: argparse.Namespace) -> int:
    if arguments.action == "list":
        return await _list(settings, [arguments.topic] if arguments.topic else list(TOPICS))
    if not arguments.topic or not arguments.offset:
        raise PermanentError(f"say which: common replay {arguments.action} TOPIC OFFSET")
    wanted = None if arguments.offset == "all" else _offset(arguments.offset)
    producer = EventProducer(settings)
    found = 0
    try:
        async for letter in dead_letters(settings, arguments.topic):
            if wanted is not None and letter.offset != wanted:
                continue
            found += 1
            if arguments.action == "show":
                headers = {name: raw.decode(errors="replace") for name, raw in letter.headers}
                body = (letter.value or b"").decode(errors="replace")
                print(json.dumps({"offset": letter.offset, "headers": headers, "body": body}, indent=2))
            else:
                await send_again(producer, letter)
                print(f"sent again: {letter.topic} {letter.offset} {letter.header('ce_type')}")
    finally:
        await producer.stop()
    if not found:
        raise PermanentError(f"no dead letter {arguments.offset} of {arguments.topic}; `common replay list` shows them")
    return 0


def _offset(text: str) -> int:
    if not text.isdecimal():
        raise PermanentError(f"{text} is not an offset; `common replay list` shows them")
    return int(text)


async def _list(settings: KafkaSettings, topics: list[str]) -> int:
    rows = [("TOPIC", "OFFSET", "SINCE", "CONSUMER", "REASON")]
    for topic in topics:
        async for letter in dead_letters(settings, topic):
            since = letter.parked_at.strftime("%Y-%m-%d %H:%M:%SZ")
            rows.append((topic, str(letter.offset), since, letter.header("dlq_consumer"), letter.reason))
    if len(rows) == 1:
        print("no dead letters")
        return 0
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        print("  ".join([*(row[column].ljust(widths[column]) for column in range(4)), row[4]]))
    return 0


def write_snapshots(asyncapi_path: Path) -> None:
    """Write the schema of each event type and the AsyncAPI document; the diff is the review."""
    SCHEMAS.mkdir(exist_ok=True)
    for name, model in EVENT_TYPES.items():
        (SCHEMAS / f"{name}.json").write_text(json.dumps(schema_of(model), indent=2, sort_keys=True) + "\n")
    asyncapi_path.write_text(
        "# Generated by `make snapshots` from common.contracts; JSON is YAML.\n"
        + json.dumps(asyncapi(), indent=2)
        + "\n"
    )


if __name__ == "__main__":
    raise SystemExit(main())
