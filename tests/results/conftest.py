from tests.engine.conftest import family, fold, job

__all__ = ["family", "fold", "job"]
