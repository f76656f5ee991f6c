"""Tests of the webhook edge."""
