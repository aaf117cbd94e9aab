"""Operators' commands that belong to no single service: topics, dead letters, contract documents."""

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import Field

from common.contracts import DEFAULT_PARTITIONS, EVENT_TYPES, TOPICS
from common.kafka import EventProducer, KafkaOptions, KafkaSettings, TopicError
from common.kafka.replay import DeadLetter, NotSentError, dead_letters, send_again
from common.kafka.topics import TopicAction, bring_in_line, compare, wanted_topics
from common.runtime import settings as runtime_settings
from common.runtime.errors import PermanentError, RetryableError
from common.runtime.tables import table
from wevion_tokens.contracts import documents
from wevion_tokens.contracts.documents import asyncapi, schema_of

CLIENT_ID = "wevion-operator"
SCHEMAS = Path(documents.__file__).with_name("schemas")


class OperatorSettings(KafkaOptions):
    """What the commands need of the cluster."""

    kafka_partitions: int = Field(default=DEFAULT_PARTITIONS, ge=1, le=512, description="partitions of each topic")
    kafka_replication_factor: int = Field(
        default=1, ge=1, le=7, description="copies of each partition; 3 in production"
    )
    kafka_min_insync_replicas: int | None = Field(
        default=None, ge=1, le=7, description="copies that must have a record; by default one less than there are"
    )

    @property
    def insync(self) -> int:
        """Return how many copies must have a record before it counts as written."""
        return self.kafka_min_insync_replicas or max(self.kafka_replication_factor - 1, 1)


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    parser = argparse.ArgumentParser(prog="common", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    topics = verbs.add_parser("topics", help="create every topic, and bring those that exist in line; safe to repeat")
    topics.add_argument("--dry-run", action="store_true", help="only show what would be done")
    topics.add_argument("--json", action="store_true", help="for programs")
    replay = verbs.add_parser("replay", help="dead letters: list them, show one, send them again")
    replay.add_argument("action", choices=("list", "show", "send"))
    replay.add_argument("topic", nargs="?", help="the topic that the records came from, such as token.revoked")
    replay.add_argument("offset", nargs="?", help="which record; `all` with send")
    replay.add_argument("--consumer", help="only letters of this consumer group")
    replay.add_argument("--reason", help="only letters whose reason has this text in it")
    replay.add_argument("--sent", action="store_true", help="also letters that were sent again")
    replay.add_argument("--json", action="store_true", help="for programs")
    snapshots = verbs.add_parser("snapshots", help="rewrite the stored schemas and the AsyncAPI document")
    snapshots.add_argument(
        "--asyncapi", type=Path, default=Path("docs/asyncapi.yaml"), help="where the AsyncAPI document goes"
    )
    arguments = parser.parse_args(argv)
    if arguments.verb == "snapshots":
        write_snapshots(arguments.asyncapi)
        return 0
    settings = runtime_settings.load(OperatorSettings)
    run = _topics if arguments.verb == "topics" else _replay
    try:
        return asyncio.run(run(settings, arguments))
    except (PermanentError, RetryableError, TopicError) as error:
        print(f"common {arguments.verb}: {error}", file=sys.stderr)
        return 1


async def _topics(settings: OperatorSettings, arguments: argparse.Namespace) -> int:
    kafka = settings.kafka(CLIENT_ID)
    wanted = wanted_topics(
        kafka,
        partitions=settings.kafka_partitions,
        replication_factor=settings.kafka_replication_factor,
        min_insync_replicas=settings.insync,
    )
    found = await (compare(kafka, wanted) if arguments.dry_run else bring_in_line(kafka, wanted))
    if arguments.json:
        print(json.dumps([one.document() for one in found], indent=2))
    elif found:
        heads = ("TOPIC", "SETTING", "NOW", "WANTED", "WOULD" if arguments.dry_run else "DONE", "NOTE")
        print(table(heads, [(one.topic, one.setting, one.now, one.wanted, one.action, one.note) for one in found]))
    else:
        print(f"{len(wanted)} topics are as they have to be")
    return int(any(one.action is TopicAction.REFUSE for one in found))


async def _replay(settings: OperatorSettings, arguments: argparse.Namespace) -> int:
    kafka = settings.kafka(CLIENT_ID)
    topics = [arguments.topic] if arguments.topic else list(TOPICS)
    if arguments.action != "list" and not (arguments.topic and arguments.offset):
        raise PermanentError(f"say which: common replay {arguments.action} TOPIC OFFSET")
    one = _offset(arguments.offset) if arguments.offset not in (None, "all") else None
    letters = [
        letter
        for topic in topics
        for letter in await dead_letters(kafka, topic, sent=arguments.sent)
        if (one is None or letter.offset == one)
        and (arguments.consumer is None or letter.consumer == arguments.consumer)
        and (arguments.reason is None or arguments.reason in letter.reason)
    ]
    if arguments.action == "list":
        return _list(letters, as_json=arguments.json)
    if not letters:
        raise PermanentError(f"no dead letter {arguments.offset} of {arguments.topic}; `common replay list` shows them")
    return _show(letters) if arguments.action == "show" else await _send(kafka, letters)


def _show(letters: Sequence[DeadLetter]) -> int:
    for letter in letters:
        headers = {name: raw.decode(errors="replace") for name, raw in letter.headers}
        body = (letter.value or b"").decode(errors="replace")
        print(json.dumps({"offset": letter.offset, "headers": headers, "body": body}, indent=2))
    return 0


async def _send(kafka: KafkaSettings, letters: Sequence[DeadLetter]) -> int:
    producer = EventProducer(kafka)
    refused = 0
    try:
        for letter in letters:
            try:
                await send_again(kafka, producer, letter)
            except NotSentError as error:
                refused += 1
                print(f"not sent: {letter.topic} {letter.offset}: {error}", file=sys.stderr)
            else:
                print(f"sent again: {letter.topic} {letter.offset} {letter.header('ce_type')}")
    finally:
        await producer.stop()
    return int(refused > 0)


def _offset(text: str) -> int:
    if not text.isdecimal():
        raise PermanentError(f"{text} is not an offset; `common replay list` shows them")
    return int(text)


def _list(letters: Sequence[DeadLetter], *, as_json: bool) -> int:
    if as_json:
        print(json.dumps([letter.document() for letter in letters], indent=2))
    elif letters:
        rows = [
            (letter.topic, str(letter.offset), f"{letter.parked_at:%Y-%m-%d %H:%M:%SZ}", letter.consumer, letter.reason)
            for letter in letters
        ]
        print(table(("TOPIC", "OFFSET", "SINCE", "CONSUMER", "REASON"), rows))
    else:
        print("no dead letters")
    return 0


def write_snapshots(asyncapi_path: Path) -> None:
    """Write the schema of each event type and the AsyncAPI document; the diff is the review."""
    SCHEMAS.mkdir(exist_ok=True)
    for name, model in EVENT_TYPES.items():
        (SCHEMAS / f"{name}.json").write_text(json.dumps(schema_of(model), indent=2, sort_keys=True) + "\n")
    asyncapi_path.write_text(
        "# Generated by `make snapshots` from wevion_tokens.contracts; JSON is YAML.\n"
        + json.dumps(asyncapi(), indent=2)
        + "\n"
    )


if __name__ == "__main__":
    raise SystemExit(main())
