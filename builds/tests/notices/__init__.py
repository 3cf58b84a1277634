"""Tests of events, webhooks and e-mail."""
