"""Answers that are kept by an idempotency key, so that a request sent again is done once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import IntegrityError, models, transaction

from builds.models.token import Token

KEPT_FOR = timedelta(hours=24)


class OtherRequest(Exception):
    """A key came again with another request than the one that it was first sent with."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What is answered: a status, where to look next ("" for nowhere), and JSON."""

    status: int
    location: str
    body: str


class AnswerQuerySet(models.QuerySet["Answer"]):
    """Answers by what one wants of them."""

    def once(
        self, token: Token, key: str, request: str, act: Callable[[], Reply], *, at: datetime
    ) -> tuple[Reply, bool]:
        """Do an act unless this token's key has done it; what it gave, and whether it gave it now.

        `request` is the digest of what is asked for. The key is taken, the act done and its answer
        kept in one transaction: who comes with the same key meanwhile waits for its end, and an
        act that fails leaves the key free. Raises OtherRequest.
        """
        with transaction.atomic():
            self.filter(token=token, key=key).outlived(at).delete()
            try:
                with transaction.atomic():
                    row = self.create(token=token, key=key, request=request, given_at=at)
            except IntegrityError:
                return self.get(token=token, key=key).repeated(request), False
            reply = act()
            row.keep(reply)
        return reply, True

    def outlived(self, at: datetime) -> AnswerQuerySet:
        """Those that are old enough to be forgotten."""
        return self.filter(given_at__lte=at - KEPT_FOR)


class Answer(models.Model):
    """What was answered to a request, by the token and the key that it came with."""

    token = models.ForeignKey(Token, on_delete=models.CASCADE, related_name="answers")
    key = models.CharField(max_length=255)
    request = models.CharField(max_length=64, help_text="SHA-256 of what was asked for.")
    status = models.PositiveSmallIntegerField(default=0)
    location = models.CharField(max_length=500, blank=True)
    body = models.TextField(blank=True)
    given_at = models.DateTimeField(db_index=True)

    objects = AnswerQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(name="one_answer_per_key", fields=["token", "key"]),
        ]

    def __str__(self) -> str:
        return f"{self.status} to {self.key} by {self.token}"

    def keep(self, reply: Reply) -> None:
        """Write down what was answered."""
        self.status, self.location, self.body = reply.status, reply.location, reply.body
        self.save(update_fields=["status", "location", "body"])

    def repeated(self, request: str) -> Reply:
        """The same answer once more. Raises OtherRequest where another thing is asked for."""
        if request != self.request:
            raise OtherRequest
        return Reply(self.status, self.location, self.body)
