"""What a new authorisation means for the grant: its ends, and what it lacks."""

from datetime import datetime
from uuid import UUID

from common.contracts import IssuedHow
from oauth_svc.core.changes import Authorized
from oauth_svc.core.flow import Flow, Profile
from oauth_svc.core.grant import earliest, missing_scopes


def authorization(
    profile: Profile,
    *,
    how: IssuedHow,
    owner_user_id: UUID,
    subject_name: str,
    renews: bool,
    access_expires_at: datetime | None,
    expires_at: datetime | None,
    granted: frozenset[str] | None,
) -> Authorized:
    """Return the change that a new authorisation makes to its connection.

    Args:
        profile: The platform's rules.
        how: Whether the connection is new or was authorised before.
        owner_user_id: The user who gave the consent.
        subject_name: The platform user's name, as the platform tells it.
        renews: Whether the access token can be replaced by a newer one without a person.
        access_expires_at: The end of the access token, None where the platform states none.
        expires_at: The end of the whole grant, None where the platform states none.
        granted: The granted scopes, None where the platform is silent about them.

    Returns:
        The change. Where the access token is the grant, or cannot be renewed, the grant ends with it.

    """
    if profile.flow is Flow.SWAP or not renews:
        expires_at = earliest(expires_at, access_expires_at)
    return Authorized(
        how=how,
        owner_user_id=owner_user_id,
        subject_name=subject_name,
        access_expires_at=access_expires_at,
        expires_at=expires_at,
        scopes_missing=missing_scopes(profile.needed_scopes, granted),
    )
