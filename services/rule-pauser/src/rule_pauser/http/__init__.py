"""The API: parse, one operation, encode."""

from rule_pauser.http.rules import person_routes, rule_routes
from rule_pauser.http.workspace import settings_routes

__all__ = ["person_routes", "rule_routes", "settings_routes"]
