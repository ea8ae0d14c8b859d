"""A local AWS on 127.0.0.1: MiniStack in one process, behind a shim that makes it behave more like AWS."""
