#!/bin/sh
# Runs a Python that is new enough with the given arguments; installs one where there is none.
set -eu

newest_first='python3 python3.14 python3.13 python3.12 python3.11'

find_python() {
    for name in $newest_first; do
        if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null; then
            echo "$name"
            return
        fi
    done
}

install_python() {
    if [ "$(id -u)" != 0 ] || ! command -v apt-get > /dev/null; then
        return
    fi
    case ${SKIP_SYSTEM:-0} in
        0) ;;
        *) return ;;
    esac
    echo "portal: will install with apt: python3 python3-venv (SKIP_SYSTEM=1 leaves the system alone)"
    export DEBIAN_FRONTEND=noninteractive
    # The second is for Ubuntu 22.04, whose python3 is 3.10.
    apt-get -qq update > /dev/null 2>&1 || true
    for packages in 'python3 python3-venv' 'python3.11 python3.11-venv'; do
        # shellcheck disable=SC2086 # two words on purpose
        apt-get -qq install -y --no-install-recommends $packages > /dev/null 2>&1 || true
        [ -z "$(find_python)" ] || return 0
    done
}

python=$(find_python)
if [ -z "$python" ]; then
    install_python
    python=$(find_python)
fi
if [ -z "$python" ]; then
    echo "portal: no Python of 3.11 or newer here; install one (Debian: python3 python3-venv), then try again" >&2
    exit 1
fi
cd "$(dirname "$0")/.."
exec "$python" "$@"
