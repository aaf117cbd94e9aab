"""Refusals of the domain; http.py says them as problems."""


class Refusal(Exception):
    """Something that was asked for cannot be."""


class UnknownNotice(Refusal):
    """No such notice for this person."""


class UnknownPerson(Refusal):
    """Nobody with that id is known in the workspace."""


class NoMailChannel(Refusal):
    """This installation has no mail server, or no keys to seal secrets with."""


class NoTelegramLink(Refusal):
    """There is nothing to unlink."""


class TelegramOff(Refusal):
    """This installation has no bot."""
