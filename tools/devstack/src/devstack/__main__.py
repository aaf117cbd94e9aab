"""`devstack infra`."""

import argparse
import sys
from pathlib import Path

from common.testing.processes import ChildFailed
from devstack import infra


def main() -> int:
    parser = argparse.ArgumentParser(prog="devstack", description="Kafka, PostgreSQL and all services, without Docker")
    verbs = parser.add_subparsers(dest="verb", required=True)
    shared = verbs.add_parser("infra", help="only Kafka and PostgreSQL, for the tests of several people")
    shared.add_argument("--dir", type=Path, default=Path(".local/infra"))
    shared.add_argument("--env", type=Path, default=None, help="where to write the WEVION_TEST_* settings")
    args = parser.parse_args()
    try:
        return infra.run(args.dir.resolve(), args.env or args.dir.with_name(args.dir.name + ".env"))
    except ChildFailed as exc:
        print(exc, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
