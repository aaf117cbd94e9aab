"""session-svc's list of a workspace's people: who is told, at which address, in which time zone."""

from typing import Annotated, Any, Protocol
from uuid import UUID

import aiohttp
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from common.auth import ServiceTokens
from common.runtime.errors import PermanentError, RetryableError
from common.text import clean
from notifier.core.routing import Person

PAGE = 200
MOST_PAGES = 100
_UNAUTHORIZED = 401
_OK = 200


class PeopleDirectory(Protocol):
    """Something that knows the people of a workspace."""

    async def people(self, workspace_id: UUID) -> list[Person]:
        """Return everybody in the workspace.

        Raises:
            RetryableError: the directory is away.
            PermanentError: it refuses us.

        """
        ...

    async def person(self, user_id: UUID) -> list[Person]:
        """Return one person, once per workspace that they are in. Raises as `people` does."""
        ...


class _User(BaseModel):
    model_config = ConfigDict(extra="ignore")

    user_id: UUID
    workspace_id: UUID
    email: str
    name: str = ""
    role: str
    time_zone: str | None = None
    disabled: bool = False


class _Page(BaseModel):
    model_config = ConfigDict(extra="ignore")

    items: Annotated[list[_User], Field(max_length=10_000)]
    next_cursor: str | None = None


class PeopleClient:
    """Asks session-svc with the service's own JWT (scope `users:read`)."""

    def __init__(self, http: aiohttp.ClientSession, base_url: str, tokens: ServiceTokens) -> None:
        self._http = http
        self._url = base_url.rstrip("/") + "/api/v1/admin/users"
        self._tokens = tokens

    async def people(self, workspace_id: UUID) -> list[Person]:
        """See `PeopleDirectory.people`."""
        return await self._list({"workspace_id": str(workspace_id)})

    async def person(self, user_id: UUID) -> list[Person]:
        """See `PeopleDirectory.person`."""
        return await self._list({"user_id": str(user_id)})

    async def _list(self, wanted: dict[str, str]) -> list[Person]:
        found: list[Person] = []
        cursor: str | None = None
        for _ in range(MOST_PAGES):
            page = await self._page(wanted | ({"cursor": cursor} if cursor else {}))
            found += [
                Person(
                    user_id=user.user_id,
                    workspace_id=user.workspace_id,
                    name=clean(user.name),
                    email=user.email,
                    role=user.role,
                    time_zone=user.time_zone,
                    active=not user.disabled,
                )
                for user in page.items
            ]
            cursor = page.next_cursor
            if cursor is None:
                return found
        raise PermanentError(f"session-svc lists more than {PAGE * MOST_PAGES} people in one workspace")

    async def _page(self, wanted: dict[str, str]) -> _Page:
        query = wanted | {"limit": str(PAGE)}
        try:
            async with self._http.get(
                self._url, params=query, headers=await self._tokens.headers(), allow_redirects=False
            ) as answer:
                if answer.status == _UNAUTHORIZED:
                    self._tokens.drop()
                    raise RetryableError("session-svc does not take our token; a new one is asked for")
                if answer.status != _OK:
                    raise RetryableError(f"session-svc answers {answer.status}")
                document: Any = await answer.json(content_type=None)
                return _Page.model_validate(document)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise RetryableError(f"session-svc does not answer ({type(error).__name__})") from error
        except (ValidationError, ValueError):
            raise RetryableError("session-svc's list of people is not as agreed") from None
