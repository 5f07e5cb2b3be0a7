#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Profiles: the good ones do what they say, and each malformed one is refused with file, line and key.

. "${srcdir:-.}/tests/lib/tap.sh"

profiles=$HOME/.config/sentryd/profiles
mkdir -p "$profiles"

# refused NAME LINE KEY MESSAGE-REGEX  (the profile on stdin): LINE may be a regular expression
refused() {
        local file=$profiles/$1.json out rc
        cat >"$file"
        out=$(sctl profile check "$file" 2>&1)
        rc=$?
        is $rc 1 "$1: profile check refuses it" || diag "$out"
        like "$out" "$1\.json:($2):" "$1: … with file and line"
        [ -z "$3" ] || contains "$out" "$3" "$1: … and the key"
        like "$out" "$4" "$1: … and what is wrong"
        rm -f "$TESTDIR/started"
        out=$(sctl run --profile "$1" --bind "$TESTDIR" touch "$TESTDIR/started" 2>&1)
        rc=$?
        is $rc 125 "$1: run refuses it" || diag "$out"
        check_fails "$1: … and starts nothing" test -e "$TESTDIR/started"
        [ -z "$3" ] || contains "$out" "$3" "$1: … telling the key"
        rm -f "$file"
}

# accepted NAME (the profile on stdin)
accepted() {
        local file=$profiles/$1.json
        cat >"$file"
        check "$1: profile check accepts it" sctl profile check "$file"
}

# ---- malformed, one thing at a time

refused empty 1 '' . </dev/null
refused not-json 1 '' . <<'E'
this is no JSON
E
refused unclosed '[123]' '' . <<'E'
{
  "hostname": "x"
E
refused comma '[23]' '' . <<'E'
{
  "hostname": "x",
}
E
refused comment 2 '' . <<'E'
{
  // comments are not allowed
  "hostname": "x"
}
E
refused array 1 '' object <<'E'
[]
E
refused trailing '[23]' '' . <<'E'
{ "hostname": "x" }
{ "hostname": "y" }
E
refused unknown-key 3 hostnam hostname <<'E'
{
  "domainname": "x",
  "hostnam": "x"
}
E
refused unknown-sentry-key 3 sentry.netwrok network <<'E'
{
  "sentry": {
    "netwrok": "none"
  }
}
E
refused unknown-process-key 1 process.envv env <<'E'
{ "process": { "envv": ["A=1"] } }
E
refused hostname-type 2 hostname "number|string" <<'E'
{
  "hostname": 5
}
E
refused hostname-long 1 hostname 64 <<E
{ "hostname": "$(printf 'x%.0s' {1..65})" }
E
refused root-path 2 root.path 'absolute|/' <<'E'
{ "root": {
    "path": "relative"
} }
E
refused root-readonly 1 root.readonly 'bool|true' <<'E'
{ "root": { "readonly": "yes" } }
E
refused cwd 1 process.cwd 'absolute|/' <<'E'
{ "process": { "cwd": "here" } }
E
refused env '[23]' process.env = <<'E'
{ "process": {
    "env": [ "GOOD=1",
             "BAD" ]
} }
E
refused capability 1 process.capabilities CAP_ <<'E'
{ "process": { "capabilities": ["CAP_NO_SUCH"] } }
E
refused no-new-privileges 1 process.noNewPrivileges true <<'E'
{ "process": { "noNewPrivileges": false } }
E
refused rlimit-type 1 process.rlimits RLIMIT_ <<'E'
{ "process": { "rlimits": [ { "type": "RLIMIT_NOSUCH", "soft": 1, "hard": 1 } ] } }
E
refused rlimit-order 1 process.rlimits 'hard|soft' <<'E'
{ "process": { "rlimits": [ { "type": "RLIMIT_NOFILE", "soft": 2, "hard": 1 } ] } }
E
refused rlimit-negative 1 process.rlimits . <<'E'
{ "process": { "rlimits": [ { "type": "RLIMIT_NOFILE", "soft": -5, "hard": 1 } ] } }
E
refused mount-type 4 'mounts[1].type' tmpfs <<'E'
{
  "mounts": [
    { "destination": "/tmp", "type": "tmpfs" },
    { "destination": "/mnt", "type": "ext5" }
  ]
}
E
refused mount-destination 2 'mounts[0].destination' 'absolute|/' <<'E'
{ "mounts": [
    { "destination": "mnt", "type": "tmpfs" } ] }
E
refused mount-no-destination 1 'mounts[0]' destination <<'E'
{ "mounts": [ { "type": "tmpfs" } ] }
E
refused mount-no-source 1 'mounts[0]' source <<'E'
{ "mounts": [ { "destination": "/mnt", "type": "bind" } ] }
E
refused mount-option 1 'mounts[0].options' sudo <<'E'
{ "mounts": [ { "destination": "/mnt", "type": "tmpfs", "options": ["sudo"] } ] }
E
refused mount-suid 1 'mounts[0].options' suid <<'E'
{ "mounts": [ { "destination": "/mnt", "type": "tmpfs", "options": ["suid"] } ] }
E
refused namespace 1 linux.namespaces pid <<'E'
{ "linux": { "namespaces": [ { "type": "moon" } ] } }
E
refused cpus-zero 1 sentry.cpus . <<'E'
{ "sentry": { "cpus": 0 } }
E
refused cpus-list 1 sentry.cpus . <<'E'
{ "sentry": { "cpus": "3-1" } }
E
refused pid 1 sentry.pid 'private.*host' <<'E'
{ "sentry": { "pid": "public" } }
E
refused network 1 sentry.network 'none.*private.*host' <<'E'
{ "sentry": { "network": "all" } }
E
refused emulated-capability 1 sentry.emulatedCapabilities CAP_ <<'E'
{ "sentry": { "emulatedCapabilities": ["SYS_ADMIN!"] } }
E
refused log-size 1 sentry.logSize . <<'E'
{ "sentry": { "logSize": -1 } }
E
refused log-size-huge 1 sentry.logSize . <<'E'
{ "sentry": { "logSize": 99999999999 } }
E
refused kernel-release 1 sentry.kernelRelease . <<E
{ "sentry": { "kernelRelease": "$(printf '6%.0s' {1..65})" } }
E
refused env-mode 1 sentry.env 'keep.*clear' <<'E'
{ "sentry": { "env": "some" } }
E
refused control-character 1 hostname . <<'E'
{ "hostname": "a\u0000b" }
E
rm -f "$profiles"/*.json

# ---- wrong only when loaded

run_refused() { # NAME REGEX
        local out rc
        out=$(sctl run --profile "$1" true 2>&1)
        rc=$?
        is $rc 125 "profile $1: run refuses it"
        like "$out" "$2" "profile $1: … and says why"
}

accepted extends-nobody <<'E'
{ "sentry": { "extends": "no-such-parent" } }
E
run_refused extends-nobody no-such-parent
accepted circle-a <<'E'
{ "sentry": { "extends": "circle-b" } }
E
accepted circle-b <<'E'
{ "sentry": { "extends": "circle-a" } }
E
run_refused circle-a 'circle|itself|extends'
for i in {1..12}; do
        echo "{ \"sentry\": { \"extends\": \"chain-$((i + 1))\" } }" >"$profiles/chain-$i.json"
done
echo '{}' >"$profiles/chain-13.json"
run_refused chain-1 extends
run_refused ../../etc/passwd .
run_refused 'a b' .
head -c 300000 /dev/zero | tr '\0' ' ' >"$profiles/large.json"
run_refused large .
printf '%.0s[' {1..10000} >"$profiles/deep.json"
run_refused deep .
head -c 1000 /dev/urandom >"$profiles/random.json"
run_refused random .
status_is 1 "profile check of random bytes" sctl profile check "$profiles/random.json"
status_is 1 "profile check of no file" sctl profile check "$profiles/no-such-file.json"
status_is 1 "profile check of a directory" sctl profile check "$profiles"
is "$(sctl -q --no-legend list 2>&1)" '' "none of them started anything"
rm -f "$profiles"/*.json

# ---- good ones

accepted box <<'E'
{
  "hostname": "from-profile",
  "domainname": "example.org",
  "process": { "cwd": "/usr", "env": ["FROM=profile", "HOME=/tmp"],
               "rlimits": [ { "type": "RLIMIT_NOFILE", "soft": 77, "hard": 88 } ] },
  "mounts": [ { "destination": "/mnt", "type": "tmpfs", "options": ["size=1m", "mode=755"] } ],
  "sentry": { "extends": "default", "description": "a box to test", "kernelRelease": "6.1.0-test",
              "kernelVersion": "#7 TEST", "cpus": 1, "logSize": 8192, "unsetenv": ["GONE"] }
}
E
is "$(sctl run --profile box uname -nrv)" 'from-profile 6.1.0-test #7 TEST' "hostname, kernelRelease, kernelVersion"
is "$(sctl run --profile box --hostname over uname -n)" over "an option beats the profile"
is "$(sctl run --profile box /usr/bin/python3 -c 'import ctypes
b = ctypes.create_string_buffer(65); ctypes.CDLL(None).getdomainname(b, 65); print(b.value.decode())')" \
        example.org "domainname"
is "$(sctl run --profile box pwd)" /usr "process.cwd"
is "$(sctl run --profile box sh -c 'echo $FROM $HOME')" 'profile /tmp' "process.env"
is "$(sctl run --profile box bash -c 'ulimit -Sn; ulimit -Hn' | paste -sd' ')" '77 88' "process.rlimits"
is "$(sctl run --profile box stat -f -c %T /mnt)" tmpfs "mounts"
check_fails "… with its size" sctl run --profile box sh -c 'head -c 2000000 /dev/zero >/mnt/x'
is "$(sctl run --profile box nproc)" 1 "cpus"
is "$(GONE=1 sctl run --profile box sh -c 'echo ${GONE-unset}')" unset "unsetenv"
accepted child <<'E'
{ "hostname": "child", "process": { "env": ["FROM=child"] }, "sentry": { "extends": "box" } }
E
is "$(sctl run --profile child sh -c 'echo $(uname -n) $FROM $HOME $(pwd)')" 'child child /tmp /usr' "extends"
accepted locked <<'E'
{ "sentry": { "extends": "default", "emulatedCapabilities": [] } }
E
check_fails "without emulated CAP_SYS_ADMIN sethostname is refused" sctl run --profile locked hostname x
is "$(sctl run --profile locked uname -n)" sandbox "… and reading is not"
check_fails "without emulated CAP_SYS_BOOT nobody reboots" sctl run --profile locked /usr/bin/python3 -c '
import ctypes, sys
sys.exit(ctypes.CDLL(None).reboot(0x1234567) != 0)'
like "$(sctl profile list 2>&1)" box "the profiles are listed"
done_testing
