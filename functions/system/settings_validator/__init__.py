"""Refuses invalid settings before AppConfig deploys them."""
