"""Events that a stranger can live on: typed handlers, each event's effect once, everything known from the start."""

from wevion_tokens.contracts import Event, EventBody
from wevion_tokens.events.follower import Follower
from wevion_tokens.events.inbox import Inbox, family
from wevion_tokens.events.states import TokenStates

__all__ = ["Event", "EventBody", "Follower", "Inbox", "TokenStates", "family"]
