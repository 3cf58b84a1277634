"""Tests of people: roles, signing in, second factors."""
