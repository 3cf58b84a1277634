"""The address of the numbers."""

from django.urls import path

from builds.metrics.views import metrics

urlpatterns = [path("metrics", metrics, name="metrics")]
