"""API tokens in Django's admin: everybody's are seen there, and revoked by admins."""

from __future__ import annotations

from typing import cast

from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from builds.admin.read_only import ReadOnlyAdmin
from builds.models import Actor, Token


@admin.register(Token)
class TokenAdmin(ReadOnlyAdmin[Token]):
    """Tokens without their texts, which nobody has but who uses them."""

    list_display = ["name", "owner", "hint", "purpose", "last_used_at", "expires_at", "state"]
    list_filter = ["owner"]
    list_select_related = ["owner"]
    search_fields = ["name", "hint", "owner__username"]
    exclude = ["digest"]
    actions = ["revoke"]

    @admin.display(description="for")
    def purpose(self, token: Token) -> str:
        """Its scopes and channels."""
        return token.in_words()

    @admin.display(description="state")
    def state(self, token: Token) -> str:
        """Whether it opens anything, or why not."""
        return token.refusal(timezone.now()) or "live"

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        """Whether this user may end the tokens of others."""
        return request.user.has_perm("builds.revoke_token")

    @admin.action(description="Revoke for good", permissions=["revoke"])
    def revoke(self, request: HttpRequest, tokens: QuerySet[Token]) -> None:
        """End the selected ones."""
        by, now = Actor.of(cast("User", request.user)), timezone.now()
        revoked = [str(token) for token in tokens if token.revoke(by=by, at=now)]
        said = f"Revoked: {', '.join(revoked)}." if revoked else "They were revoked before."
        self.message_user(request, said, messages.SUCCESS if revoked else messages.WARNING)
