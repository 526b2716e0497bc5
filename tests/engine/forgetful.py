"""Books that lose a job, to see that somebody notices."""

import dataclasses

from itda.engine.ledger import Ledger


class Forgetful(Ledger):
    """Is over without the twins of what is done, and does not say that they are."""

    def settle(self, fold, result):
        settled = super().settle(fold, result)
        own = [done for done in settled.done if done[0][0] is fold]
        return dataclasses.replace(settled, served=[fold], done=own)
