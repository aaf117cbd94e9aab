"""Wevion's token services, for the services that live on them."""
