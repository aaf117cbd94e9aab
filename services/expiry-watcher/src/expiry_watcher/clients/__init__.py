"""Calls to sister services, one module each, named after the service that is called."""
