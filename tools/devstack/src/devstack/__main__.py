"""`devstack up | demo | test | …`: what the Makefile's verbs call."""

import argparse
import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

from common.testing.processes import ChildFailedError
from devstack import chores, demo, infra, logbook, mutants, services, suite, up
from devstack.layout import Layout, StackBusyError
from devstack.platforms import overridden
from devstack.terminal import only_ours, say


def main() -> int:
    args = _parser().parse_args()
    only_ours()
    work: Callable[[argparse.Namespace], int] = args.work
    try:
        return work(args)
    except (ChildFailedError, StackBusyError, ValueError) as exc:
        print(f"\n{exc}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="devstack", description="The whole product on one machine, without Docker")
    verbs = parser.add_subparsers(required=True)

    shared = verbs.add_parser("infra", help="only Kafka and PostgreSQL, for several test runs")
    shared.add_argument("--dir", type=Path, default=Path(".local/infra"))
    shared.add_argument("--env", type=Path, default=None, help="where to write the WEVION_TEST_* settings")
    shared.set_defaults(work=_infra)

    up_ = verbs.add_parser("up", help="everything, with a demo workspace, until Ctrl-C")
    up_.add_argument("--replicas", default="", help="more of some: oauth-svc=3,notifier=2")
    up_.add_argument("--without", default="", help="leave services out, to run them yourself: notifier,rule-pauser")
    up_.add_argument("--only", default="", help="no services but these, for a small machine: oauth-svc,session-svc")
    up_.add_argument("--providers", type=Path, help="a providers file laid over the stack's, such as real test apps")
    up_.set_defaults(work=_up)
    demo_ = verbs.add_parser("demo", help="the whole story as a timeline; fails if a step is not observed")
    demo_.set_defaults(work=_demo)
    logs_ = verbs.add_parser("logs", help="what the parts say, followed until Ctrl-C")
    logs_.add_argument("part", nargs="?", help="one of them, such as oauth-svc")
    logs_.set_defaults(work=lambda args: logbook.follow(logbook.files(_layout(args), args.part), say))
    replay_ = verbs.add_parser("replay", help="dead letters: list, show TOPIC, send TOPIC OFFSET|all")
    replay_.add_argument("arguments", nargs="*")
    replay_.set_defaults(work=lambda args: chores.replay(_layout(args), args.arguments))
    ctl_ = verbs.add_parser("ctl", help="a service's own command on the running stack: ctl session-svc create-client …")
    ctl_.add_argument("service", help="such as session-svc")
    ctl_.add_argument("arguments", nargs=argparse.REMAINDER)
    ctl_.set_defaults(work=lambda args: chores.ctl(_layout(args), args.service, args.arguments))
    openapi_ = verbs.add_parser("openapi", help="store the running services' OpenAPI documents in docs/openapi")
    openapi_.add_argument("--breaking", action="store_true", help="also what breaks callers: a new major version")
    openapi_.set_defaults(work=lambda args: chores.openapi(_layout(args), breaking=args.breaking))
    migrate_ = verbs.add_parser("migrate", help="bring the running stack's databases up to date")
    migrate_.set_defaults(work=lambda args: chores.migrate(_layout(args)))
    topics_ = verbs.add_parser("topics", help="create the running stack's missing topics")
    topics_.set_defaults(work=lambda args: chores.topics(_layout(args)))
    clean_ = verbs.add_parser("clean", help="forget a stopped stack's data, secrets and logs")
    clean_.set_defaults(work=lambda args: chores.clean(_layout(args)))
    for verb in (up_, demo_, logs_, replay_, ctl_, openapi_, migrate_, topics_, clean_):
        verb.add_argument("--dir", type=Path, default=Path(".local"), help="where the stack keeps its data")

    tests = verbs.add_parser("test", help="the members' tests on real servers")
    tests.add_argument("--tier", choices=sorted(suite.TIERS), help="default: all")
    tests.add_argument("--service", help="one member, such as notifier")
    tests.add_argument("--path", help="one file or test")
    tests.set_defaults(work=_test)
    mutants_ = verbs.add_parser("mutants", help="whether a service's unit tests notice changes to its core")
    mutants_.add_argument("service", nargs="?", default="", help="such as notifier")
    mutants_.set_defaults(work=_mutants)
    return parser


def _layout(args: argparse.Namespace) -> Layout:
    folder: Path = args.dir
    return Layout(folder.resolve())


def _infra(args: argparse.Namespace) -> int:
    return infra.run(args.dir.resolve(), args.env or args.dir.with_name(args.dir.name + ".env"))


def _up(args: argparse.Namespace) -> int:
    overridden(args.providers)  # one that cannot be read is refused before anything starts
    overrides = args.providers.resolve() if args.providers else None
    replicas, without = services.replicas(args.replicas), services.left_out(args.without, args.only)
    return asyncio.run(up.run(_layout(args), replicas, without, overrides))


def _demo(args: argparse.Namespace) -> int:
    return asyncio.run(demo.run(_layout(args)))


def _test(args: argparse.Namespace) -> int:
    tiers = [args.tier] if args.tier else list(suite.TIERS)
    runs = suite.plan(Path.cwd(), tiers, args.service, args.path)
    return asyncio.run(suite.run_all(runs, servers=suite.needs_servers(runs), out=say))


def _mutants(args: argparse.Namespace) -> int:
    return mutants.run(Path.cwd(), args.service, say)


if __name__ == "__main__":
    sys.exit(main())
