"""Logs by the standard library: a stable event name and fields.

A program's own handlers show them as text (`event name=value …`); one that writes structured logs finds the fields on
the record, as `wevion_fields`.
"""

import logging
from typing import Any

FIELDS = "wevion_fields"


class EventLogger:
    """Writes events: the first argument is the event's fixed name, such as `jwks_fetch_failed`."""

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

    def debug(self, event: str, **fields: Any) -> None:
        self._write(logging.DEBUG, event, fields)

    def info(self, event: str, **fields: Any) -> None:
        self._write(logging.INFO, event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        self._write(logging.WARNING, event, fields)

    def error(self, event: str, **fields: Any) -> None:
        self._write(logging.ERROR, event, fields)

    def exception(self, event: str, **fields: Any) -> None:
        """Write an error with the traceback of the exception that is being handled."""
        self._write(logging.ERROR, event, fields, exc_info=True)

    def _write(self, level: int, event: str, fields: dict[str, Any], *, exc_info: bool = False) -> None:
        if self._logger.isEnabledFor(level):
            said = " ".join([event, *(f"{name}={value}" for name, value in fields.items())])
            self._logger.log(level, "%s", said, exc_info=exc_info, extra={FIELDS: (event, fields)}, stacklevel=3)


def get_logger(name: str) -> EventLogger:
    """Return the logger of a module."""
    return EventLogger(name)
