"""Reruns and quarantines flaky tests by the policies of a Casebook server, and sends every attempt back."""

__version__ = "0.1.0"
