"""What a result comes to, in plain words: made here for every face, said by each in its own."""

from itda.results.verdict.reading import side_chains
from itda.results.verdict.verdict import Sentence, Verdict, verdict_of

__all__ = ["Sentence", "Verdict", "side_chains", "verdict_of"]
