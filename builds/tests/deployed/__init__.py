"""The files that operators take from deploy/: held by the tools that read them."""
