"""What the service can do: one transaction per verb. Decisions are core's, statements are the store's."""

from rule_pauser.operations.author import RuleDefinition, delete_rule, put_rule
from rule_pauser.operations.catch_up import catch_up
from rule_pauser.operations.deps import Deps
from rule_pauser.operations.hear import hear
from rule_pauser.operations.housekeeping import tidy
from rule_pauser.operations.incidents import pause_for_incidents
from rule_pauser.operations.person import Blocked, pause_rule, resume_rule
from rule_pauser.operations.reading import RuleStory, list_operations, list_rules, read_mode, read_rule
from rule_pauser.operations.reconcile import ReconcileStatus, reconcile_some
from rule_pauser.operations.workspace import choose_mode

__all__ = [
    "Blocked",
    "Deps",
    "ReconcileStatus",
    "RuleDefinition",
    "RuleStory",
    "catch_up",
    "choose_mode",
    "delete_rule",
    "hear",
    "list_operations",
    "list_rules",
    "pause_for_incidents",
    "pause_rule",
    "put_rule",
    "read_mode",
    "read_rule",
    "reconcile_some",
    "resume_rule",
    "tidy",
]
