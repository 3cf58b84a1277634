# The two commands of a newcomer, `make run` and `make test`, and what goes with them. deploy/ does the work.

.PHONY: help run test lint lock audit messages screenshots lighthouse crash fuzz bench load soak images-check deploy-check boot-matrix

help:
	@echo 'make run    the portal at http://127.0.0.1:8000 (PORT, BIND, DATA_DIR and SKIP_SYSTEM=1 change how)'
	@echo 'make test   everything that the tests need, and all of them (ARGS="-k words" goes to pytest)'
	@echo 'make crash  breaks everything 800 times, for an hour at most (ARGS="--minutes 5")'
	@echo 'make fuzz   a million mutated inputs for each parser (ARGS="log --runs 10000 --seed 1")'
	@echo 'make bench  measures for an hour, and keeps the tables in docs/performance.md (ARGS=--list, ARGS="log --quick")'
	@echo 'make load   1,000 reads a second for ten minutes, while it builds and publishes (ARGS="--minutes 1")'
	@echo 'make soak   watches memory, open files and connections for six hours (ARGS="--hours 1")'
	@echo 'make images-check NIXPKGS=folder   evaluates every NixOS image on both systems'
	@echo 'make deploy-check NIXPKGS=folder   evaluates a machine with the NixOS module of deploy/nixos'
	@echo 'make boot-matrix  boots the mini image in every way, and writes docs/boot-matrix.md'
	@echo 'make screenshots   a picture of every page, light and dark, wide and narrow, in docs/screenshots/'
	@echo 'make lighthouse    what Lighthouse says of the first page and of a release'
	@echo 'make messages   the texts of the pages, in locale/, renewed and compiled'
	@echo 'make lint   format, types, layers, templates, migrations, shell and Nix files'
	@echo 'make lock   pins the whole tree of Python packages with hashes, in deploy/*.lock'
	@echo 'make audit  what an attacker would try: code, settings, doors, headers, hostile inputs, packages'

images-check:
	@images/check '$(NIXPKGS)'

deploy-check:
	@deploy/nixos/check '$(NIXPKGS)'

boot-matrix:
	@ARGS='builds/tests/boots/test_matrix.py --boot-matrix docs/boot-matrix.md' deploy/python.sh -m deploy test

run test lint lock audit messages screenshots lighthouse crash fuzz bench load soak:
	@deploy/python.sh -m deploy $@
