"""What a person sees: the console's pages and its browser-side modules."""

from gateway.console.pages import console_routes
from gateway.console.problems import problem_pages

__all__ = ["console_routes", "problem_pages"]
