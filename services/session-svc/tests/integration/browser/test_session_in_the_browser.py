"""Rows T1.2, T1.4, T1.5, T1.7, T1.8 as a person meets them: the console's session module in a real browser."""

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from playwright.async_api import Page, Route, expect

from common.testing import eventually
from session_svc.core.people import Role

from .conftest import SOON_MS, TOKEN_PATH, Profile, call, fill

if TYPE_CHECKING:
    from tests.conftest import World

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(120)]
