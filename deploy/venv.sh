# Sourced by deploy/demo and tests/run: finds a Python, makes a virtual environment, installs the project into it.
# shellcheck shell=bash

say() { printf '%s\n' "$*" >&2; }

# The first Python of at least 3.11; OSTEON_PYTHON names another.
find_python() {
    local candidate
    for candidate in ${OSTEON_PYTHON:-python3 python3.11 python3.12 python3.13 python3.14}; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return 0
        fi
    done
    say "Osteon needs Python 3.11 or later and found none. On Debian or Ubuntu: apt-get install python3 python3-venv."
    say "Or name one: OSTEON_PYTHON=/path/to/python3 $0"
    return 1
}

can_apt() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; }

# apt_install PACKAGE...: services of these packages are not started. One that cannot be had keeps no other away.
apt_install() {
    local package command=(apt-get install -y -qq --no-install-recommends)
    export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
    apt-get update -qq >/dev/null 2>&1 || say "apt-get update failed; trying with the lists that are there."
    "${command[@]}" "$@" >/dev/null && return 0
    [ $# = 1 ] && return 1
    say "apt-get could not install all of them at once: trying one after the other."
    for package; do "${command[@]}" "$package" >/dev/null || say "apt-get could not install $package."; done
}

# lacking <LIST: of lines "SHOWS PACKAGE" the packages of which nothing shows; SHOWS is a command or a file (or pattern).
lacking() {
    local shows package
    while read -r shows package; do
        case $shows in
            /*) compgen -G "$shows" >/dev/null || echo "$package" ;;
            *) PATH=$PATH:/usr/sbin command -v "$shows" >/dev/null || echo "$package" ;;
        esac
    done
}

# What an installation depends on: the declared requirements, the pins, what was asked for, and where the project lies.
stamp_of() { # ROOT EXTRAS
    { cat "$1/pyproject.toml" "$1/deploy/constraints.txt"; printf '%s\n' "$1" "$2"; } | sha256sum | cut -d' ' -f1
}

# make_venv ROOT VENV EXTRAS [EXTRAS_THAT_HOLD_THEM]: installs unless nothing changed since the last time.
make_venv() {
    local root=$1 venv=$2 extras=$3 wider=${4:-} python stamp
    stamp=$(stamp_of "$root" "$extras")
    if [ -x "$venv/bin/python" ] && grep -qsxF -e "$stamp" -e "$(stamp_of "$root" "${wider:-$extras}")" "$venv/osteon-stamp"; then
        return 0
    fi
    python=$(find_python) || return 1
    if ! [ -x "$venv/bin/pip" ]; then
        say "Making a virtual environment in $venv"
        if ! "$python" -c 'import ensurepip' 2>/dev/null; then
            can_apt && apt_install "python$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv" || true
        fi
        if ! "$python" -m venv "$venv"; then
            say "$python cannot make a virtual environment. On Debian or Ubuntu: apt-get install python3-venv. Then run this again."
            return 1
        fi
    fi
    say "Installing Osteon [$extras] into $venv (a few minutes the first time)"
    if install_project "$root" "$venv" "$extras"; then
        printf '%s\n' "$stamp" >"$venv/osteon-stamp"
        return 0
    fi
    if "$venv/bin/python" "$root/deploy/installed.py" "$root" "$extras"; then
        say "pip could not finish, but everything that pyproject.toml asks for is installed: going on with that."
        return 0
    fi
    say "The installation failed: see above what pip said. Is a package registry within reach?"
    return 1
}

# The build backend comes first, pinned like all else, so that building needs no environment of its own.
install_project() { # ROOT VENV EXTRAS
    local log="$2/install.log"
    local pip=("$2/bin/python" -m pip --disable-pip-version-check install --constraint "$1/deploy/constraints.txt")
    export PIP_ROOT_USER_ACTION=ignore
    {
        "${pip[@]}" hatchling editables && "${pip[@]}" --no-build-isolation --editable "$1[$3]"
    } >"$log" 2>&1 && return 0
    tail -n 15 "$log" >&2
    say "The whole output of pip: $log"
    return 1
}
