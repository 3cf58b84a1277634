"""What can go wrong, each with the exit code that scripts tell it by."""

from __future__ import annotations


class Failure(Exception):
    """The command ends without having done what was asked; its text is the line that is printed."""

    code = 1


class BadUsage(Failure):
    """What was asked can't be meant: a wrong option, setting or file."""

    code = 2


class NotThere(Failure):
    """There is no such channel, release, build or file."""

    code = 3


class NotVerified(Failure):
    """What came is not what it should be: size, digest, signature or release differ."""

    code = 4


class TooOld(Failure):
    """The portal offers an older release than it did before."""

    code = 5


class NotAllowed(Failure):
    """The portal refuses: no token, a wrong one, or not now."""

    code = 6


class EndedBadly(Failure):
    """The build or release that was waited for failed."""

    code = 7


class TimedOut(Failure):
    """What was waited for did not come in time."""

    code = 8
