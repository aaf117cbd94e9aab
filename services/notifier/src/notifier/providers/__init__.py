"""Wevion's other services, as the notifier calls them."""
