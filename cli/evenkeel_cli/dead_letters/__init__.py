"""``evenkeel dlq``: read, redrive and drop dead letters."""
