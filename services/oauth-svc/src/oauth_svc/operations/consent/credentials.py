"""Entered credentials: checked at the platform before anything is stored."""

from collections.abc import Mapping
from uuid import UUID

from common.postgres import transaction
from common.runtime.shield import Shield
from oauth_svc import metrics, store
from oauth_svc.core import errors
from oauth_svc.core.flow import Profile
from oauth_svc.core.grant import local_return
from oauth_svc.core.roles import WorkspaceCaller, must_manage
from oauth_svc.operations.consent.completing import Consented, ConsentResult, complete, must_exist, refusal_of
from oauth_svc.operations.deps import Deps
from oauth_svc.providers.base import PlatformError, Provider


async def enter_credentials(
    deps: Deps,
    shield: Shield,
    caller: WorkspaceCaller,
    provider_id: str,
    credentials: Mapping[str, str],
    *,
    connection_id: UUID | None,
    return_to: str | None,
) -> ConsentResult:
    """Connect a platform without a consent screen by what the person entered in its form.

    Args:
        deps: What every operation is given.
        shield: Runs the login to its end, also when the browser goes away.
        caller: The person.
        provider_id: The platform.
        credentials: What was entered, by field name.
        connection_id: The connection to authorise again, None for a new one.
        return_to: The path of Wevion to return to, None for the usual one.

    Returns:
        How it ended.

    Raises:
        RefusalError: Nothing was stored.

    """
    provider = deps.providers[provider_id]
    must_manage(provider.profile.kind, caller.role)
    path = local_return(return_to)
    if connection_id is not None:
        async with transaction(deps.pool) as db:
            await must_exist(db, caller.workspace_id, provider_id, connection_id)
    consented = Consented(
        provider=provider_id,
        workspace_id=caller.workspace_id,
        user_id=caller.user_id,
        connection_id=connection_id,
        return_to=path,
        scopes=provider.profile.scopes,
    )
    return await shield.run(_log_in(deps, provider, consented, credentials))


async def _log_in(
    deps: Deps, provider: Provider, consented: Consented, credentials: Mapping[str, str]
) -> ConsentResult:
    await _take_login(deps, provider.profile, credentials)
    try:
        answer = await provider.login(credentials, deps.clock.now())
    except PlatformError as error:
        refusal = refusal_of(error, errors.CredentialsRefusedError())
        metrics.CONNECTS.labels(consented.provider, refusal.code).inc()
        raise refusal from error
    return await complete(deps, provider, consented, answer, credentials)


async def _take_login(deps: Deps, profile: Profile, credentials: Mapping[str, str]) -> None:
    """A login by hand costs one of the platform's budget too, right or wrong."""
    if profile.budget is None:
        return
    subject = credentials.get(profile.form[0].name, "").strip().lower()
    async with transaction(deps.pool) as db:
        free_at = await store.logins.take(
            db, profile.provider, subject, calls=profile.budget.calls, per=profile.budget.per
        )
    if free_at is not None:
        raise errors.LoginBudgetError(f"{profile.title} allows {profile.budget.calls} logins an hour.", free_at)
