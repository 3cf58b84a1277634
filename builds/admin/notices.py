"""Who is told of what happens, and how each telling went."""

from __future__ import annotations

from typing import Any, cast

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from builds import tasks
from builds.admin.read_only import ReadOnlyAdmin
from builds.choices import EventKind, Means
from builds.models import Attempt, Delivery, Event, Subscription
from builds.web.words import moment


class SubscriptionForm(forms.ModelForm[Subscription]):
    """A subscription, with its kinds as boxes to tick."""

    kinds = forms.MultipleChoiceField(
        choices=[(kind.value, kind.label) for kind in EventKind.wanted()],
        widget=forms.CheckboxSelectMultiple,
        required=False,
        help_text="None chosen: of every kind.",
    )

    class Meta:
        model = Subscription
        fields = ["name", "means", "url", "address", "kinds", "channels", "is_active"]


@admin.register(Subscription)
class SubscriptionAdmin(admin.ModelAdmin[Subscription]):
    """Subscriptions: edited here, tested, and given a new secret."""

    form = SubscriptionForm
    change_list_template = "admin/builds/subscription/change_list.html"
    list_display = ["name", "means", "goes_to", "is_active", "note", "created_by", "created_at"]
    readonly_fields = ["note"]
    list_filter = ["means", "is_active"]
    list_select_related = ["created_by"]
    filter_horizontal = ["channels"]
    actions = ["ping", "rotate"]

    @admin.display(description="goes to")
    def goes_to(self, subscription: Subscription) -> str:
        """The URL or the address."""
        if subscription.means == Means.WEBHOOK:
            return subscription.url
        return subscription.address or "all active staff with an address"

    @admin.display(description="note")
    def note(self, subscription: Subscription) -> str:
        """Why the portal switched it off by itself, or since when it takes nothing."""
        if subscription.switched_off_at is not None:
            off_at = moment(subscription.switched_off_at)
            return f"Switched off {off_at}. {subscription.switched_off_why}"
        since = subscription.failing_since
        return f"Nothing was taken since {moment(since)}." if since else ""

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """With a word on whether e-mail can be sent."""
        context = {"mail_is_on": settings.MAIL_IS_ON, **(extra_context or {})}
        return super().changelist_view(request, context)

    def save_model(
        self,
        request: HttpRequest,
        obj: Subscription,
        form: Any,
        change: bool,  # noqa: FBT001 - Django's own
    ) -> None:
        """Note who made it; one that is switched on again begins anew."""
        if not change:
            obj.created_by = cast("User", request.user)
        if obj.is_active:
            obj.forget_failures()
        super().save_model(request, obj, form, change)
        tasks.tell()

    def response_add(
        self, request: HttpRequest, obj: Subscription, post_url_continue: str | None = None
    ) -> HttpResponse:
        """Show a new webhook's secret, once."""
        if obj.means == Means.WEBHOOK:
            return self._secret(request, obj)
        return super().response_add(request, obj, post_url_continue)

    @admin.action(description="Send a test event", permissions=["change"])
    def ping(self, request: HttpRequest, subscriptions: QuerySet[Subscription]) -> None:
        """Send a test to each of them, through the outbox like everything else."""
        reachable = set(Subscription.objects.reachable())
        for subscription in subscriptions:
            if subscription in reachable:
                Event.objects.ping(subscription, at=timezone.now())
                text = f"A test is on its way to {subscription}; see its deliveries."
                self.message_user(request, text, messages.SUCCESS)
            else:
                text = f"{subscription} is told of nothing: it is not active, or e-mail is off."
                self.message_user(request, text, messages.WARNING)
        tasks.tell()

    @admin.action(description="Make a new secret", permissions=["change"])
    def rotate(
        self, request: HttpRequest, subscriptions: QuerySet[Subscription]
    ) -> HttpResponse | None:
        """Give one webhook a new secret and show it, once; the old one signs too for a day."""
        chosen = list(subscriptions.filter(means=Means.WEBHOOK)[:2])
        if len(chosen) != 1:
            self.message_user(request, "Choose just one webhook.", messages.WARNING)
            return None
        chosen[0].rotate(at=timezone.now())
        self.log_change(request, chosen[0], "Made a new secret.")
        return self._secret(request, chosen[0])

    def _secret(self, request: HttpRequest, subscription: Subscription) -> HttpResponse:
        context: dict[str, Any] = {
            **self.admin_site.each_context(request),
            "title": f"The secret of {subscription}",
            "subscription": subscription,
            "opts": self.opts,
        }
        return render(request, "admin/builds/subscription/secret.html", context)


class AttemptInline(admin.TabularInline[Attempt, Delivery]):
    """What came of each try."""

    model = Attempt
    fields = ["at", "response_code", "error", "seconds", "worker"]
    readonly_fields = ["at", "response_code", "error", "seconds", "worker"]
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Delivery | None = None) -> bool:
        """Nobody adds one."""
        return False


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin[Delivery]):
    """The delivery log; what is here can be sent again."""

    list_display = ["event", "subscription", "status", "attempts_made", "next_at", "finished_at"]
    list_filter = ["status", "subscription", "event__kind"]
    list_select_related = ["event", "subscription"]
    date_hierarchy = "event__at"
    inlines = [AttemptInline]
    actions = ["send_again"]

    def has_resend_permission(self, request: HttpRequest) -> bool:
        """Whether this user may have something sent once more."""
        return request.user.has_perm("builds.change_delivery")

    @admin.action(description="Send again", permissions=["resend"])
    def send_again(self, request: HttpRequest, deliveries: QuerySet[Delivery]) -> None:
        """Have the selected deliveries sent now, with the same id."""
        for delivery in deliveries:
            delivery.send_again(at=timezone.now())
        tasks.tell()
        self.message_user(request, f"{len(deliveries)} will be sent again.", messages.SUCCESS)


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin[Event]):
    """Events, to read."""

    list_display = ["sequence", "kind", "channel", "system", "release", "at"]
    list_filter = ["kind", "channel", "system"]
    list_select_related = ["channel", "release__channel"]
    date_hierarchy = "at"
