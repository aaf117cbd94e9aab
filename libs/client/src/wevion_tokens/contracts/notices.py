"""What was told to whom. Key: `notice_id`."""

from uuid import UUID

from pydantic import Field

from wevion_tokens.contracts.base import EventBody, event
from wevion_tokens.contracts.vocabulary import NoticeChannel, NoticeCode


@event("notice.sent")
class NoticeSentV1(EventBody):
    """A notice reached its reader on one channel. The reader of a workspace's channel is the workspace itself."""

    notice_id: UUID
    code: NoticeCode
    channel: NoticeChannel
    user_id: UUID = Field(description="the reader; on a channel of the workspace (Slack, webhooks), the workspace's id")
    workspace_id: UUID
    version: int = Field(ge=1, description="raised each time the notice is updated")

    def subject(self) -> str:
        return str(self.notice_id)

    def aggregate_version(self) -> int:
        return self.version
