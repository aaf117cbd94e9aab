"""Automation rules that stop and start with their tokens. Key: `rule_id`."""

from uuid import UUID

from pydantic import Field

from wevion_tokens.contracts.base import EventBody, FactTime, event


class RuleEvent(EventBody):
    """What both rule events have in common."""

    rule_id: UUID
    rule_name: str
    workspace_id: UUID
    account_id: UUID
    token_id: UUID
    reason: str = Field(description="in words, for people")
    auto_paused_at: FactTime = Field(description="when the pause began")
    version: int = Field(ge=1, description="the rule's revision after the change")

    def subject(self) -> str:
        return str(self.rule_id)

    def aggregate_version(self) -> int:
        return self.version


@event("rule.paused")
class RulePausedV1(RuleEvent):
    """A rule was stopped because a token that it needs is dead."""


@event("rule.resumed")
class RuleResumedV1(RuleEvent):
    """The last reason for an automatic pause is gone, and the rule runs again."""
