"""The words of mails: what is the same for many readers is rendered once, and addressed to each."""

from collections.abc import Hashable, Sequence
from datetime import datetime

from common.crypto import KeyEncryption
from notifier.channels.email import unsubscribing
from notifier.channels.email.parcel import MailParcel
from notifier.core.rendering import Letter, Texts
from notifier.operations.channel import Direct, Message


class Letters:
    """Writes mails. `vault` seals the one-click links; None: the mails have none."""

    def __init__(self, texts: Texts, vault: KeyEncryption | None) -> None:
        self._texts = texts
        self._vault = vault

    async def write(self, messages: Sequence[Message], now: datetime) -> list[MailParcel]:
        """Return one mail for each message, in the same order."""
        rendered: dict[Hashable, Letter] = {}
        return [
            self._direct(message, message.direct) or await self._notices(message, rendered, now) for message in messages
        ]

    async def _notices(self, message: Message, rendered: dict[Hashable, Letter], now: datetime) -> MailParcel:
        letter = rendered.get(message.same)
        if letter is None:
            words = [said.words for said in message.said]
            letter = self._texts.letter(words, follow_up=message.follow_up, one_click=self._vault is not None)
            rendered[message.same] = letter
        person = message.person
        asked = unsubscribing.Asked(person.workspace_id, person.user_id, message.codes)
        stop = await unsubscribing.url(self._vault, self._texts.public_url, asked, now)
        mail = letter.to(person.name, stop)
        return MailParcel(
            delivery_id=message.claimed.delivery_id,
            address=message.address,
            reader=person.name,
            subject=mail.subject,
            text=mail.text,
            html=mail.html,
            unsubscribe_url=stop,
        )

    def _direct(self, message: Message, direct: Direct | None) -> MailParcel | None:
        if direct is None:
            return None
        mail = self._texts.direct(direct.template, link=direct.link, facts=direct.facts)
        return MailParcel(
            delivery_id=message.claimed.delivery_id,
            address=message.address,
            reader=message.person.name,
            subject=mail.subject,
            text=mail.text,
            html=mail.html,
            bulk=False,
        )
