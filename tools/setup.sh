# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# Shared by `try` and `check`: installs what is missing on a Debian-like system and configures build directories.
# Quick and quiet when all is there. Sourced with the working directory at the top of the source.

# What the build needs, and what the tests need on top of it.
# shellcheck disable=SC2034  # for who sources this
SENTRYD_BUILD_PACKAGES=(
        autoconf automake make gcc libc6-dev pkg-config
        libseccomp-dev libsystemd-dev libcap-dev libjson-c-dev libbsd-dev libsmartcols-dev libxxhash-dev libzstd-dev
)
# shellcheck disable=SC2034
SENTRYD_TEST_PACKAGES=(
        bsdutils hostname make tar clang libclang-rt-14-dev dbus dbus-daemon systemd git gcc golang-go python3 perl sqlite3 nodejs tmux procps psmisc util-linux
        shellcheck mandoc xz-utils libcap2-bin strace gdb e2fsprogs uidmap nginx-light postgresql redis-server redis-tools passt iproute2 bubblewrap
        zsh systemd-container libpam-systemd dbus-user-session polkitd
)

die() {
        printf '%s: %s\n' "${0##*/}" "$*" >&2
        exit 125
}

as_root() {
        if [ "$(id -u)" -eq 0 ]; then
                "$@"
        elif command -v sudo >/dev/null; then
                sudo "$@"
        else
                die "cannot run \"$*\" as root: be root, or install sudo"
        fi
}

# install_packages PACKAGE…: those that are not installed yet
install_packages() {
        local missing=() package log policy=

        command -v dpkg-query >/dev/null ||
                { printf '%s: not a Debian system, the packages are up to you: %s\n' "${0##*/}" "$*" >&2; return 0; }
        for package; do
                # shellcheck disable=SC2016  # a format of dpkg's
                [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
                        missing+=("$package")
        done
        [ ${#missing[@]} -gt 0 ] || return 0

        printf '%s: installing %s\n' "${0##*/}" "${missing[*]}" >&2
        log=$(mktemp)
        # No service is started for having been installed.
        [ -e /usr/sbin/policy-rc.d ] || {
                policy=/usr/sbin/policy-rc.d
                # shellcheck disable=SC2016  # for the other shell
                as_root sh -c 'printf "#!/bin/sh\nexit 101\n" >"$0" && chmod 755 "$0"' $policy
        }
        if ! as_root apt-get update -qq >"$log" 2>&1 ||
                ! as_root env DEBIAN_FRONTEND=noninteractive \
                        apt-get install -y -qq --no-install-recommends "${missing[@]}" >>"$log" 2>&1; then
                tail -n 20 "$log" >&2
                rm -f "$log"
                [ -z "$policy" ] || as_root rm -f $policy
                die "could not install the packages; the end of the log is above"
        fi
        rm -f "$log"
        [ -z "$policy" ] || as_root rm -f $policy
}

# configure_build DIR OPTION…: makes configure when it is missing or older than its sources, and DIR with it
configure_build() {
        local dir=$1 stamp options
        shift

        if [ ! -x configure ] || [ -n "$(find configure.ac Makefile.am ./*/local.mk -newer configure 2>/dev/null)" ]; then
                autoreconf -fi >"${TMPDIR:-/tmp}/sentryd-autoreconf.$$" 2>&1 ||
                        { cat "${TMPDIR:-/tmp}/sentryd-autoreconf.$$" >&2; die "autoreconf failed"; }
                rm -f "${TMPDIR:-/tmp}/sentryd-autoreconf.$$"
        fi

        stamp=$dir/.configured-with options="$*"
        if [ ! -e "$dir/Makefile" ] || [ "$(cat "$stamp" 2>/dev/null)" != "$options" ] ||
                   [ configure -nt "$dir/config.status" ]; then
                mkdir -p "$dir"
                (cd "$dir" && ../configure -q "$@") >"$dir/configure.out" 2>&1 ||
                        { tail -n 20 "$dir/configure.out" >&2; die "configure failed: $dir/config.log says why"; }
                printf '%s' "$options" >"$stamp"
        fi
}

# build DIR [TARGET…]
build() {
        local dir=$1
        shift
        make -s -C "$dir" -j"$(nproc)" "$@" >"$dir/make.out" 2>&1 ||
                { grep -E 'error|Error|warning:' "$dir/make.out" | head -n 40 >&2; die "make failed: $dir/make.out has it all"; }
}
