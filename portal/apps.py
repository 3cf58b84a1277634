"""Apps of Django's that the portal sets up in its own way."""

from django.contrib.admin.apps import AdminConfig as DjangoAdminConfig


class AdminConfig(DjangoAdminConfig):
    """Django's admin with our site."""

    default_site = "portal.admin_site.PortalAdminSite"
