"""The shell that every service is composed in: settings, resources opened and closed in order, commands."""

from common.service.command import Verb, command
from common.service.runtime import Service
from common.service.settings import ServiceSettings

__all__ = ["Service", "ServiceSettings", "Verb", "command"]
