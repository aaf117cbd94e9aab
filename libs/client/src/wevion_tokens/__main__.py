"""`python -m wevion_tokens` is the command `wevion-tokens`."""

import sys

from wevion_tokens.command import main

if __name__ == "__main__":
    sys.exit(main())
