"""Consent: begun, brought back by the browser, or entered as credentials."""
