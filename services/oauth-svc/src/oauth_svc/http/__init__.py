"""What makes oauth-svc act over HTTP: parse, one operation, answer. No SQL, no rules."""

from collections.abc import Sequence

from common.runtime.shield import Shield
from common.web import Authenticate, Routes
from oauth_svc.http import accounts, checks, connect, connections, deletions, services, webhooks
from oauth_svc.operations.deps import Deps
from oauth_svc.operations.engine.refreshing import Engine
from oauth_svc.operations.serving.access import AccessTokens


def routes(
    deps: Deps, engine: Engine, access: AccessTokens, shield: Shield, authenticate: Authenticate
) -> Sequence[Routes]:
    """Return every endpoint of the service.

    Args:
        deps: what the operations of the service work with.
        engine: what calls the platforms.
        access: serves access tokens.
        shield: lets work go on when its request is cancelled.
        authenticate: tells who calls.

    """
    return (
        connect.routes(deps, shield, authenticate),
        connections.routes(deps, engine),
        checks.routes(deps, engine),
        accounts.routes(deps, engine),
        services.routes(deps, access),
        webhooks.routes(deps),
        deletions.routes(deps),
    )
