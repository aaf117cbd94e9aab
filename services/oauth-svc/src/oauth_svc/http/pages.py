"""The few pages that oauth-svc shows by itself: what went wrong with a consent, and the credential form."""

import base64
import hashlib
import re
from html import escape
from importlib.resources import files
from string import Template

from aiohttp import web

from oauth_svc.core.flow import FormField

_PAGE = files("oauth_svc").joinpath("templates/page.html").read_text(encoding="utf-8")
_STYLE = re.search(r"<style>(.*?)</style>", _PAGE, re.DOTALL)
_STYLE_DIGEST = base64.b64encode(hashlib.sha256((_STYLE[1] if _STYLE else "").encode()).digest()).decode()

HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_DIGEST}'; form-action 'self'; frame-ancestors 'none'; "
        "base-uri 'none'"
    ),
    "Cache-Control": "no-store",
    # Not "no-referrer": with that, browsers send a form of this page with `Origin: null` (Fetch, "serializing a request
    # origin"), and the gateway refuses every origin but its own.
    "Referrer-Policy": "same-origin",
}


def message(status: int, title: str, text: str, *, fix: str = "", link: str = "/connections") -> web.Response:
    """Return a plain page with one way on.

    Args:
        status: the HTTP status.
        title: the heading.
        text: the text below the heading.
        fix: what the person can do.
        link: where the way on leads.

    """
    body = f"<p>{escape(text)}</p>" + (f'<p class="fix">{escape(fix)}</p>' if fix else "")
    body += f'<p><a class="button" href="{escape(link, quote=True)}">Back to Wevion</a></p>'
    return _page(status, title, body)


def notice(status: int, title: str, text: str, *, hint: str = "") -> web.Response:
    """Return a plain page for somebody who is not a user of Wevion, without a way on.

    Args:
        status: of HTTP.
        title: the heading.
        text: one paragraph.
        hint: another one, in small letters.

    Returns:
        The page.

    """
    body = f"<p>{escape(text)}</p>" + (f'<p class="hint">{escape(hint)}</p>' if hint else "")
    return _page(status, title, body)


def confirmation(status: int, title: str, text: str, *, action: str, label: str, link: str) -> web.Response:
    """Return a question with two ways on.

    Args:
        status: the HTTP status.
        title: the heading.
        text: the text below the heading.
        action: where the form is sent.
        label: the words on the button.
        link: where the way on leads.

    """
    body = (
        f'<p>{escape(text)}</p><p><a class="button" href="{escape(action, quote=True)}">{escape(label)}</a> '
        f'<a href="{escape(link, quote=True)}">Back to Wevion</a></p>'
    )
    return _page(status, title, body)


def credential_form(
    title: str,
    fields: tuple[FormField, ...],
    *,
    action: str,
    hidden: dict[str, str],
    error: str = "",
    status: int = 200,
) -> web.Response:
    """Return the credentials that a platform without a consent screen documents.

    Args:
        title: the heading.
        fields: the fields that the platform documents.
        action: where the form is sent.
        hidden: values that go with the form.
        error: why the last try was refused; empty for none.
        status: the HTTP status.

    """
    inputs = "".join(
        f'<label>{escape(field.label)}<input name="{escape(field.name)}" required maxlength="256" autocomplete="off" '
        f'type="{"password" if field.secret else "text"}"></label>'
        + (f'<p class="hint">{escape(field.hint)}</p>' if field.hint else "")
        for field in fields
    )
    kept = "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value, quote=True)}">'
        for name, value in hidden.items()
    )
    wrong = f'<p class="error" role="alert">{escape(error)}</p>' if error else ""
    body = (
        f'{wrong}<form method="post" action="{escape(action, quote=True)}">{inputs}{kept}'
        '<button class="button" type="submit">Connect</button></form>'
        '<p class="hint">The credentials are checked at the platform and stored encrypted.</p>'
    )
    return _page(status, f"Connect {title}", body)


def _page(status: int, title: str, body: str) -> web.Response:
    html = Template(_PAGE).safe_substitute(title=escape(title), body=body)
    return web.Response(status=status, text=html, content_type="text/html", charset="utf-8", headers=HEADERS)
