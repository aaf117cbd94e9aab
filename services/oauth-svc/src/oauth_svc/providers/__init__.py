"""Whom oauth-svc calls: one file per provider, holding only what is special to it."""
