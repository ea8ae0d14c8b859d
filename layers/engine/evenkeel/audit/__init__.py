"""The audit table and the state table: records, chains, state items, counters, digests."""
