"""The whole story on a running stack, and again while each service is killed in its middle."""

import subprocess

import pytest

from devstack.child_stack import ChildStack
from devstack.services import SERVICES

STORY_TIMEOUT_S = 200
#: The steps of the story that are printed, by their number in it.
STEPS = ("1", "2", "3", "4", "5", "6", "7", "8", "9")


def finish(story: "subprocess.Popen[str]", printed: str = "") -> str:
    """Reads the story to its end; it must have been observed to the last step."""
    rest, _ = story.communicate(timeout=STORY_TIMEOUT_S)
    printed += rest
    assert story.returncode == 0, printed
    for step in STEPS:
        assert f"✓ {step}  " in printed, printed
    assert "every step observed" in printed
    return printed


@pytest.mark.timeout(300)
def test_every_step_is_observed(stack: ChildStack) -> None:
    finish(stack.tell_demo())


@pytest.mark.timeout(300)
@pytest.mark.parametrize("service", SERVICES)
def test_killing_a_service_in_the_middle_loses_nothing(stack: ChildStack, service: str) -> None:
    story = stack.tell_demo()
    assert story.stdout is not None
    printed = ""
    for line in story.stdout:
        printed += line
        if "✓ 3  " in line:  # before the warning, the revocation and the recovery
            killed = stack.kill(service)
            assert killed
            break
    finish(story, printed)
    stack.wait_back(service, killed)
    assert f"{service} ended by SIGKILL; starting it again" in stack.printed()
