"""The mark that this stack has loaded a settings document: from then on a missing one does not count as empty.

It is an item of the state table, which only the stack's own roles may write (the table's resource policy). So a person
who can delete a deployment of settings cannot make the stack forget that there was one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from evenkeel.errors import code
from evenkeel.runtime.dynamodb import wire

if TYPE_CHECKING:
    from datetime import datetime

    from evenkeel.runtime.aws import Aws

KEY = "settings#loaded"
"""The item's key. It has no head of a chain, no due date and no expiry, so nothing else in the table reads it."""


class SettingsMark:
    """Reads and writes the mark. Both raise ClientError or BotoCoreError where DynamoDB does not answer."""

    def __init__(self, aws: Aws, table: str) -> None:
        """Keep the state table's name."""
        self._aws = aws
        self._table = table

    def is_set(self) -> bool:
        """Return whether this stack has ever loaded a document; a mark set a moment ago is seen."""
        answer = self._aws("dynamodb", "get_item", TableName=self._table, Key=wire({"pk": KEY}), ConsistentRead=True)
        return "Item" in answer

    def set(self, settings_version: str, now: datetime) -> None:
        """Set the mark unless it is set; it has the version and time of the first document that was loaded."""
        values = {":at": int(now.timestamp()), ":version": settings_version}
        try:
            self._aws(
                "dynamodb",
                "update_item",
                TableName=self._table,
                Key=wire({"pk": KEY}),
                UpdateExpression="SET loaded_at = :at, settings_version = :version",
                ConditionExpression="attribute_not_exists(pk)",
                ExpressionAttributeValues=wire(values),
            )
        except ClientError as error:
            if code(error) != "ConditionalCheckFailedException":
                raise
