"""Addresses of this edge."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
