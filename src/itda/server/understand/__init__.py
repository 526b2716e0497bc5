"""What an input holds, which families can fold it, at what cost, and when it would start."""

from itda.server.understand.reading import Upload
from itda.server.understand.understanding import Prepared, Understanding
from itda.server.understand.views import fault_of, in_language

__all__ = ["Prepared", "Understanding", "Upload", "fault_of", "in_language"]
