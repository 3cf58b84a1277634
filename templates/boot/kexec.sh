{% autoescape off %}#!/bin/sh
# Boots this Linux into {{ title }} by kexec: checks, downloads, verifies, unpacks and runs.
#
#     curl -fsSL {{ url }} | sh
#     wget -qO- {{ url }} | sh
#     curl -fsSL {{ url }} | sh -s -- --help
#
# Nothing of it runs before the last line has arrived.

portal={{ base }}
channel={{ channel }}
made_at={{ made_at }}

{% include "boot/kexec/facts.sh" %}
{% include "boot/kexec/main.sh" %}
{% include "boot/kexec/check.sh" %}
{% include "boot/kexec/download.sh" %}
{% include "boot/kexec/verify.sh" %}
{ main "$@"; }
{% endautoescape %}
