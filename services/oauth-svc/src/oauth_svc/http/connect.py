"""`/connect/{provider}`: the browser's way to a platform's consent and back. Answers are pages and redirects."""

from collections.abc import Awaitable, Callable, Iterable
from urllib.parse import quote, urlencode
from uuid import UUID

from aiohttp import web

from common.runtime.errors import RetryableError
from common.runtime.shield import Shield
from common.telemetry.logs import get_logger
from common.web import Access, Authenticate, Problem, Routes, read_form
from oauth_svc.core import errors
from oauth_svc.core.flow import Profile
from oauth_svc.core.grant import local_return
from oauth_svc.core.roles import AdminOnlyError, WorkspaceCaller, must_manage
from oauth_svc.http import pages
from oauth_svc.http.refusals import caller_of, status_of
from oauth_svc.operations.consent.begin import begin as begin_consent
from oauth_svc.operations.consent.callback import finish
from oauth_svc.operations.consent.completing import ConsentResult
from oauth_svc.operations.consent.credentials import enter_credentials
from oauth_svc.operations.deps import Deps

_log = get_logger(__name__)

Handler = Callable[[web.Request, WorkspaceCaller], Awaitable[web.StreamResponse]]
Endpoint = Callable[[web.Request], Awaitable[web.StreamResponse]]

MAX_FORM_BYTES = 16_384
PERSON_ONLY = Access.user(refuse_act=True)
"""A support admin who acts as the user may look, but never consents in the user's name."""

_TITLES: dict[type[errors.RefusalError], str] = {
    errors.UnknownProviderError: "There is no such platform",
    errors.UnknownConnectionError: "There is no such connection",
    errors.StateUnknownError: "This link was not started by you here",
    errors.StateExpiredError: "That took too long",
    errors.StateUsedError: "This link was used already",
    errors.ConsentDeniedError: "You did not give consent",
    errors.DifferentPlatformUserError: "That was another user of the platform",
    errors.ExchangeFailedError: "The platform did not complete the connection",
    errors.StartAgainError: "This consent cannot be used any more",
    errors.PlatformUnavailableError: "The platform has trouble of its own",
    errors.OurFaultError: "This is on our side",
    errors.NoAccountsError: "No ad account was shared",
    errors.CredentialsRefusedError: "The platform refused these credentials",
    errors.LoginBudgetError: "Too many logins at the platform",
    errors.UnsafeReturnError: "This link is not safe to follow",
    AdminOnlyError: "Only admins may do this",
}


def routes(deps: Deps, shield: Shield, authenticate: Authenticate) -> Routes:
    """Return the browser's endpoints. They authenticate by themselves, so that refusals are pages too."""
    r = Routes("connect")

    async def begin(request: web.Request, caller: WorkspaceCaller) -> web.StreamResponse:
        provider_id = request.match_info["provider"]
        query = _flat(request.query.items())
        connection_id = _uuid(query.get("connection_id"))
        profile = deps.providers[provider_id].profile
        if not profile.by_consent:
            must_manage(profile.kind, caller.role)
            return _form(profile, connection_id, local_return(query.get("return_to"), _home(profile)))
        url = await begin_consent(
            deps,
            caller,
            provider_id,
            connection_id=connection_id,
            return_to=query.get("return_to") or _home(profile),
        )
        return _redirect(url)

    async def callback(request: web.Request, caller: WorkspaceCaller) -> web.StreamResponse:
        provider_id = request.match_info["provider"]
        query = _flat(request.query.items())
        if request.method == "POST":
            query |= _flat(await read_form(request, MAX_FORM_BYTES))
        connected = await finish(deps, shield, caller, provider_id, query)
        return _redirect(_end(provider_id, connected))

    async def entered(request: web.Request, caller: WorkspaceCaller) -> web.StreamResponse:
        provider_id = request.match_info["provider"]
        profile = deps.providers[provider_id].profile
        if profile.by_consent:
            raise web.HTTPMethodNotAllowed("POST", ["GET"])
        form = _flat(await read_form(request, MAX_FORM_BYTES))
        connection_id = _uuid(form.get("connection_id"))
        return_to = local_return(form.get("return_to"), _home(profile))
        credentials = {field.name: form.get(field.name, "").strip() for field in profile.form}
        empty = [field.label for field in profile.form if not credentials[field.name]]
        if empty:
            return _form(profile, connection_id, return_to, error=f"{empty[0]} is needed.", status=400)
        try:
            connected = await enter_credentials(
                deps, shield, caller, provider_id, credentials, connection_id=connection_id, return_to=return_to
            )
        except (errors.CredentialsRefusedError, errors.LoginBudgetError) as refusal:
            return _form(profile, connection_id, return_to, error=f"{refusal} {refusal.fix}", status=status_of(refusal))
        return _redirect(_end(provider_id, connected))

    def page(handler: Handler) -> Endpoint:
        return _paged(authenticate, handler)

    r.raw("GET", "/connect/{provider}", page(begin))
    r.raw("POST", "/connect/{provider}", page(entered))
    r.raw("GET", "/connect/{provider}/callback", page(callback))
    r.raw("POST", "/connect/{provider}/callback", page(callback))
    return r


def _end(provider_id: str, connected: ConsentResult) -> str:
    """Return where the browser goes when all is well; the console says it in words from these."""
    told = {"connected": provider_id, "connection_id": str(connected.connection_id), "how": connected.how.value}
    if connected.lost:
        told["accounts_lost"] = str(len(connected.lost))
    if connected.missing_scopes:
        told["missing_scopes"] = str(len(connected.missing_scopes))
    path, _, fragment = connected.return_to.partition("#")
    joined = "&" if "?" in path else "?"
    return f"{path}{joined}{urlencode(told)}" + (f"#{fragment}" if fragment else "")


def _home(profile: Profile) -> str:
    return "/settings/integrations" if profile.kind.value == "integration" else "/connections"


def _form(
    profile: Profile, connection_id: UUID | None, return_to: str, *, error: str = "", status: int = 200
) -> web.Response:
    hidden = {"return_to": return_to} | ({"connection_id": str(connection_id)} if connection_id else {})
    return pages.credential_form(
        profile.title,
        profile.form,
        action=f"/connect/{profile.provider}",
        hidden=hidden,
        error=error,
        status=status,
    )


def _refused(refusal: errors.RefusalError, provider_id: str) -> web.Response:
    title = next((t for kind, t in _TITLES.items() if isinstance(refusal, kind)), "That did not work")
    link = f"/connections?{urlencode({'connect_error': refusal.code, 'provider': provider_id})}"
    if isinstance(refusal, errors.DifferentPlatformUserError):
        return pages.confirmation(
            status_of(refusal),
            title,
            f"{refusal} Nothing was changed. To keep both, connect this user as a connection of its own.",
            action=f"/connect/{quote(provider_id, safe='')}",
            label="Connect as a new connection",
            link=link,
        )
    if isinstance(refusal, errors.StartAgainError | errors.PlatformUnavailableError):
        return pages.confirmation(
            status_of(refusal),
            title,
            f"{refusal} {refusal.fix}",
            action=f"/connect/{quote(provider_id, safe='')}",
            label="Start again",
            link=link,
        )
    return pages.message(status_of(refusal), title, str(refusal), fix=refusal.fix, link=link)


def _redirect(url: str) -> web.Response:
    return web.Response(
        status=302, headers={"Location": url, "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
    )


def _flat(values: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return the first value of each name; an over-long one is as good as none."""
    found: dict[str, str] = {}
    for name, value in values:
        if len(value) <= 4096 and name not in found:  # noqa: PLR2004 - longer than any code
            found[name] = value
    return found


def _uuid(value: str | None) -> UUID | None:
    if not value:
        return None
    try:
        return UUID(value)
    except ValueError:
        raise errors.UnknownConnectionError from None


def _way_back(request: web.Request) -> str:
    """Return where a person goes on who has to sign in first.

    A callback's query holds the platform's code, which belongs into no other address: the person begins again.
    """
    if request.path.endswith("/callback"):
        return request.path.removesuffix("/callback")
    return request.rel_url.path_qs if request.method == "GET" else "/connections"


def _paged(authenticate: Authenticate, handler: Handler) -> Endpoint:
    async def endpoint(request: web.Request) -> web.StreamResponse:
        provider_id = request.match_info["provider"]
        try:
            caller = caller_of(await authenticate(request, PERSON_ONLY))
        except Problem as problem:
            if problem.status == 401:  # noqa: PLR2004
                return _redirect(f"/sign-in?return_to={quote(_way_back(request), safe='')}")
            return pages.message(problem.status, problem.title, problem.detail, fix=problem.fix)
        try:
            return await handler(request, caller)
        except errors.RefusalError as refusal:
            _log.info("connect_refused", provider=provider_id[:40], failure_code=refusal.code)
            return _refused(refusal, provider_id[:40])
        except RetryableError:
            return pages.message(
                503,
                "Wevion cannot do this right now",
                "Something that it needs is away.",
                fix="Try again in a moment.",
            )

    return endpoint
