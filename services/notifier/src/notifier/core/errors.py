"""Refusals of the domain; http.py says them as problems."""

from datetime import timedelta


class Refusal(Exception):
    """Something that was asked for cannot be."""


class UnknownNotice(Refusal):
    """No such notice for this person."""


class UnknownPerson(Refusal):
    """Nobody with that id is known in the workspace."""


class NoMailChannel(Refusal):
    """No mail server, or no keys to seal secrets with, are set up here."""


class NoTelegramLink(Refusal):
    """There is nothing to unlink."""


class TooManyTelegramLinks(Refusal):
    """The person made many links within the hour. `wait`: until another one can be made."""

    def __init__(self, wait: timedelta) -> None:
        super().__init__()
        self.wait = wait


class NoSuchUnsubscribeLink(Refusal):
    """The link was not made here, or is not whole."""


class TelegramOff(Refusal):
    """No bot is set up here."""
