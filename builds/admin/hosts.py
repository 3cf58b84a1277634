"""Registered hosts in Django's admin: what each boots, its address, and when it last asked."""

from __future__ import annotations

from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from builds.boot.addresses import base_url
from builds.boot.options import BadOptions, BootOptions
from builds.choices import Console
from builds.models import Host
from builds.web.words import moment

TEXTS = ("keys", "hostname", "addresses", "gateways", "nameservers", "card", "params")
OPTIONS = (*TEXTS, "consoles")


def _text(hint: str = "", widget: forms.Widget | None = None) -> forms.CharField:
    return forms.CharField(required=False, help_text=hint, widget=widget)


class HostForm(forms.ModelForm[Host]):
    """A host with its boot options, read by the rules of composed boots."""

    keys = _text("ssh public keys that let root in, one a line.", forms.Textarea({"rows": 3}))
    hostname = _text()
    addresses = _text("With the network's length, 192.0.2.5/24; left out: by DHCP.")
    gateways = _text("One for each family.")
    nameservers = _text("Three at most.")
    card = _text("Its address, where it is not the one that boots.")
    params = _text("More words for the kernel's line.")
    consoles = forms.MultipleChoiceField(
        choices=Console.choices, widget=forms.CheckboxSelectMultiple, required=False
    )

    class Meta:
        model = Host
        fields = ["name", "channel", "version", "system", "boots_once"]

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        for name in TEXTS:
            self.initial.setdefault(name, self.instance.options.get(name, ""))
        self.initial.setdefault("consoles", self.instance.options.get("consoles", "").split())

    def clean(self) -> dict[str, Any] | None:
        """Refuse what a composed boot would refuse, field by field."""
        cleaned = super().clean()
        texts = {name: self.cleaned_data.get(name, "") for name in TEXTS}
        texts["consoles"] = " ".join(self.cleaned_data.get("consoles", ()))
        try:
            self.instance.options = BootOptions.parse(texts).texts
        except BadOptions as wrong:
            for name, why in wrong.errors.items():
                self.add_error(name or None, why)
        return cleaned


@admin.register(Host)
class HostAdmin(admin.ModelAdmin[Host]):
    """Hosts: edited here, let boot once more, and given another address."""

    form = HostForm
    change_form_template = "admin/builds/host/change_form.html"
    list_display = ["name", "channel", "version", "system", "once", "seen", "created_by"]
    list_filter = ["channel", "system", "boots_once"]
    list_select_related = ["channel", "created_by"]
    search_fields = ["name", "seen_address"]
    readonly_fields = ["told", "once", "seen"]
    fieldsets = (
        (None, {"fields": ("name", "channel", "version", "system", "boots_once")}),
        ("Boot options", {"fields": OPTIONS}),
        ("So far", {"fields": ("once", "seen")}),
    )
    actions = ["boot_again", "move"]

    def get_fieldsets(self, request: HttpRequest, obj: Host | None = None) -> Any:
        """For those who only look, the options as they are kept: its fields are the form's own."""
        fieldsets = super().get_fieldsets(request, obj)
        if obj is None or self.has_change_permission(request, obj):
            return fieldsets
        first, _options, last = fieldsets
        return first, ("Boot options", {"fields": ("told",)}), last

    @admin.display(description="options")
    def told(self, host: Host) -> str:
        """What the machine is told, a line each."""
        return "\n".join(f"{name}: {text}" for name, text in host.options.items()) or "none"

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **named: Any
    ) -> HttpResponse:
        """With the host's address, for those who may change it."""
        host = named.get("obj")
        if host is not None and self.has_change_permission(request, host):
            context["address"] = _address(request, host)
        return super().render_change_form(request, context, *args, **named)

    @admin.display(description="boots once")
    def once(self, host: Host) -> str:
        """Whether it boots once, and has."""
        if not host.boots_once:
            return "no"
        return f"yes, and did {moment(host.booted_at)}" if host.booted_at else "yes, and waits"

    @admin.display(description="last asked", ordering="seen_at")
    def seen(self, host: Host) -> str:
        """When and from where its script was last asked for."""
        if host.seen_at is None:
            return "never"
        return f"{moment(host.seen_at)} from {host.seen_address or 'an unknown address'}"

    def save_model(
        self,
        request: HttpRequest,
        obj: Host,
        form: Any,
        change: bool,  # noqa: FBT001 - Django's own
    ) -> None:
        """Note who made it."""
        if not change:
            obj.created_by = cast("User", request.user)
        super().save_model(request, obj, form, change)

    @admin.action(description="Let boot once more", permissions=["change"])
    def boot_again(self, request: HttpRequest, hosts: QuerySet[Host]) -> None:
        """Let those that have booted once do so again."""
        for host in hosts:
            host.arm()
            self.log_change(request, host, "Lets it boot once more.")
        self.message_user(request, f"{len(hosts)} may boot once more.", messages.SUCCESS)

    @admin.action(description="Give another address", permissions=["change"])
    def move(self, request: HttpRequest, hosts: QuerySet[Host]) -> None:
        """Make the addresses that were given out worthless; the new ones stand on their pages."""
        for host in hosts:
            host.move()
            self.log_change(request, host, "Gave it another address.")
        self.message_user(request, f"{len(hosts)} have another address now.", messages.SUCCESS)


def _address(request: HttpRequest, host: Host) -> str:
    """The command that boots the host, "" where the portal's key has changed since."""
    if host.token is None:
        return ""
    return f"chain --autofree {base_url(request)}{reverse('host-script', args=[host.token])}"
