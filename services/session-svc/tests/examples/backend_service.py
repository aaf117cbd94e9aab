"""A backend service that believes Wevion's JWTs: keys from the JWKS, revocations from Kafka, no call per request."""

import asyncio

from pydantic import BaseModel, Field, SecretStr

from common.runtime.settings import load
from common.service import Service, ServiceSettings
from common.web import Access, Principal, Routes


class Settings(ServiceSettings):
    """Read from WEVION_* variables."""

    http_port: int = Field(default=8090, description="port to listen on")
    database_url: SecretStr = Field(default=SecretStr(""), description="not used here")


class Greeting(BaseModel):
    """Who called."""

    user_id: str
    role: str | None


routes = Routes("example")


@routes.get("/api/v1/greeting", access=Access.user(), summary="Greets whoever is signed in")
async def greeting(principal: Principal) -> Greeting:
    """The principal comes from a verified JWT, and from nowhere else."""
    return Greeting(user_id=principal.subject, role=principal.role)


async def main(settings: Settings) -> None:
    """Serve until SIGTERM; not ready until every revocation that exists is known here."""
    async with Service(settings, name="example") as service:
        await service.serve([routes], await service.verifier())
        await service.run()


if __name__ == "__main__":
    asyncio.run(main(load(Settings)))
