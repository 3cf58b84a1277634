"""The newcomer's commands: `make run`, `make test`, `make lint`.

Everything in this folder is started by the system's own Python before there is a .venv, so it
imports nothing but the standard library; what needs more runs as a program of its own.
"""
