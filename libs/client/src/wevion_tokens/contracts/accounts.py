"""Access to single ad accounts, and the data that was lost while there was none."""

from uuid import UUID

from pydantic import Field

from wevion_tokens.contracts.base import EventBody, FactTime, event
from wevion_tokens.contracts.tokens import AccountRef
from wevion_tokens.contracts.vocabulary import AccountAccess, RevocationCause


@event("account.access_changed")
class AccountAccessChangedV1(EventBody):
    """One ad account of a living grant was lost or came back. Key: `account_id`."""

    account: AccountRef
    token_id: UUID
    workspace_id: UUID
    owner_user_id: UUID
    provider: str
    version: int = Field(ge=1, description="the version of the grant at the time of the fact")
    access: AccountAccess
    cause: RevocationCause | None = None

    def subject(self) -> str:
        return str(self.account.account_id)

    def aggregate_version(self) -> int:
        return self.version


@event("data_gap.closed")
class DataGapClosedV1(EventBody):
    """Data of one account between two moments was never synced and will not come. Key: `account_id`."""

    gap_id: UUID
    account_id: UUID
    account_name: str
    token_id: UUID
    workspace_id: UUID
    owner_user_id: UUID
    provider: str
    version: int = Field(ge=1, description="the version of the grant that closed the gap")
    from_: FactTime = Field(alias="from", description="the last moment the account was known to work")
    to: FactTime = Field(description="the first moment it was known to work again")
    cause: RevocationCause | None = Field(default=None, description="null: the grant reached its full expiry")

    def subject(self) -> str:
        return str(self.account_id)

    def aggregate_version(self) -> int:
        return self.version
