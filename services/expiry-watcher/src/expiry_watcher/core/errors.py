"""What this service refuses, told as a domain error. The HTTP room says it in words."""


class LadderRefusedError(ValueError):
    """A ladder of stages that could not warn anybody in time; the message names the stage and the rule."""
