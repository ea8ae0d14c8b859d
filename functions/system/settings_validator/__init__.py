"""Refuses settings that no function could obey, before AppConfig deploys them."""
