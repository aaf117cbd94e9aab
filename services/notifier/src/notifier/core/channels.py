"""What a channel is like, as values: whom it reaches, and the limits that planning and sending keep to."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

GIVE_UP_AFTER = timedelta(hours=24)
"""A warning that could not be delivered for a day is old; the app has it anyway."""


class ChannelReach(StrEnum):
    """Whom a channel reaches: each person by an address of their own, or the workspace as a whole."""

    PERSON = "person"
    WORKSPACE = "workspace"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelLimits:
    """What a channel can do, and how often it may be asked.

    Attributes:
        edits: a message that was sent can be changed later, so a recovery edits it in place of sending another one.
        gathers: one message may speak of several notices; otherwise each notice is a message of its own.
        paced: quiet hours, the cooldown and the digest apply. They do not to what programs read.
        repeat_is_recognised: the receiving side can tell a message that was presented twice, by an id that it carries.
        waits_alone: an address that asks us to wait holds up itself only; otherwise the whole channel waits.
        give_up_after: a message that was refused for so long is not tried again.

    """

    edits: bool = False
    gathers: bool = True
    paced: bool = True
    repeat_is_recognised: bool = False
    waits_alone: bool = False
    give_up_after: timedelta = GIVE_UP_AFTER
