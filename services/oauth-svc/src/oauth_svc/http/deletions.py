"""What became of a request to delete a person's data: a page that the platform shows to whoever asked."""

from aiohttp import web
from pydantic import Field

from common.web import Access, Routes
from oauth_svc.http import pages
from oauth_svc.http.webhooks import ProviderPath
from oauth_svc.operations import webhooks
from oauth_svc.operations.deps import Deps


class DeletionPath(ProviderPath):
    """Which request."""

    code: str = Field(pattern=r"^[a-z2-7]{24}$")


def routes(deps: Deps) -> Routes:
    """Return the endpoints of this file."""
    r = Routes("deletions")

    @r.get(
        "/webhooks/{provider}/deletions/{code}",
        access=Access.public(),
        summary="What became of a request to delete a person's data",
    )
    async def deletion(path: DeletionPath) -> web.Response:
        """A page for the person who asked, and for the platform's reviewers: nobody has to sign in."""
        if path.provider not in deps.providers:
            return pages.notice(404, "Not found", "There is no such request.")
        title = deps.providers[path.provider].profile.title
        found = await webhooks.deletion(deps, path.provider, path.code)
        if found is None:
            return pages.notice(404, "Not found", "There is no request with this code.")
        asked = f"{title} passed your request on to us on {found.received_at:%d %B %Y}. "
        if not found.known:
            return pages.notice(200, "Nothing to delete", f"{asked}Wevion holds no access to your {title} account.")
        kept = (
            f"What a workspace of Wevion noted for itself stays: the names of its ad accounts, and when the access "
            f"began and ended. For that, ask the workspace, or Wevion's support with the code {path.code}."
        )
        if found.erased_by is None:
            words = f"{asked}Wevion's access to your {title} account has ended, and every token of it is erased."
            return pages.notice(200, "Your data was deleted", words, hint=kept)
        words = (
            f"{asked}Wevion's access to your {title} account has ended, and nothing is read any more. "
            f"The encrypted token is erased by {found.erased_by:%d %B %Y}."
        )
        return pages.notice(200, "Your data is being deleted", words, hint=kept)

    return r
