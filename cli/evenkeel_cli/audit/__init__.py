"""``evenkeel audit``: read and verify the audit table."""
