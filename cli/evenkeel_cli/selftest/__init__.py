"""``evenkeel selftest``: proves in a real account that each control repairs, records, alerts and can be undone."""
