"""What is asked of grants: access tokens for services, probes, and plain reads."""
