"""Where what was downloaded once is kept."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """`WEVION_CACHE_DIR`, else `.local/cache` of the source tree, else the user's cache folder."""
    if chosen := os.environ.get("WEVION_CACHE_DIR"):
        return Path(chosen)
    root = Path(__file__).resolve().parents[6]
    if (root / "requirements.lock").exists():
        return root / ".local" / "cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "wevion"
