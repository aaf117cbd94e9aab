"""One mail, addressed."""

from dataclasses import dataclass, field

from notifier.operations.channel import Parcel


@dataclass(frozen=True, slots=True, kw_only=True)
class MailParcel(Parcel):
    """One mail. `bulk`: it is one of many of its kind, and says how to stop them."""

    reader: str = field(default="", repr=False)
    subject: str = field(default="", repr=False)
    text: str = field(default="", repr=False)
    html: str = field(default="", repr=False)
    unsubscribe_url: str = field(default="", repr=False)
    bulk: bool = True
