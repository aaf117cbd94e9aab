"""The API: parse, one operation, encode. Who may see what is decided in one place, `callers`."""

from expiry_watcher.http.diagnose import diagnose_routes
from expiry_watcher.http.ladder import ladder_routes
from expiry_watcher.http.tokens import token_routes

__all__ = ["diagnose_routes", "ladder_routes", "token_routes"]
