"""Modules of the original by their names there; what is in them is ours."""
