from tests.engine.conftest import store

__all__ = ["store"]
