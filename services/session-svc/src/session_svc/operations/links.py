"""Mailed links end with whatever ends a person's sessions: they are credentials, too."""

from datetime import datetime
from uuid import UUID

from common import addresses
from common.postgres import Db
from session_svc.store import invitations, people, resets


async def end_links_of(db: Db, user_id: UUID, now: datetime) -> None:
    """End a user's open reset links and the links of invitations to them.

    A change of password, "sign out everywhere" and the end of an account call this: whoever could read a mail or held
    a session for a moment keeps no way in. Invitations stay open for the signed-in person.
    """
    user = await people.user(db, user_id)
    if user is None:
        return
    await resets.end_of_user(db, user_id, addresses.key(user.email), now)
    await invitations.end_links_of(db, addresses.key(user.email))
