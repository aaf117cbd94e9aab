"""What a person sees: the console's pages and its browser-side modules."""

from session_svc.console.pages import console_routes

__all__ = ["console_routes"]
