#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What the API is, is said in four places: by the daemon's introspection, by doc/dbus, by org.sentryd1(5), and for calls of
# others by authorize.c with the policy. They say the same. After a change that is meant to be:
#     SENTRYD_UPDATE_DBUS=1 make check TESTS=tests/bus/interface.sh       writes doc/dbus anew

if [ -z "${SENTRYD_TEST_BUS:-}" ]; then
        command -v dbus-run-session >/dev/null || {
                echo '1..0 # SKIP dbus-run-session is missing'
                exit 0
        }
        exec env SENTRYD_TEST_BUS=1 dbus-run-session -- bash "$0" "$@"
fi
bus_address=$DBUS_SESSION_BUS_ADDRESS
. "${srcdir:-.}/tests/lib/tap.sh"
export DBUS_SESSION_BUS_ADDRESS=$bus_address

introspect() { busctl --user --timeout=20 introspect --xml-interface org.sentryd1 "$1"; }
# The document of one interface of an object
interface() { # PATH INTERFACE
        cat <<-'END'
		<!DOCTYPE node PUBLIC "-//freedesktop//DTD D-BUS Object Introspection 1.0//EN"
		 "http://www.freedesktop.org/standards/dbus/1.0/introspect.dtd">
		<!-- SPDX-License-Identifier: LGPL-2.1-or-later -->
		<!-- As the daemon says it: tests/bus/interface.sh writes and checks this. org.sentryd1(5) tells what it means. -->
		<node>
	END
        introspect "$1" | sed -n "/^ <interface name=\"$2\">/,/^ <\/interface>/p"
        echo '</node>'
}

owned() { introspect /org/sentryd1 >/dev/null; }
"$SENTRYD_BUILD/sentryd" --user </dev/null >"$TESTDIR/sentryd.log" 2>&1 &
started $!
check "sentryd --user takes its name" await 15 owned || bail "$(cat "$TESTDIR/sentryd.log")"
"$SENTRYCTL" --user run --name box sleep 1000 </dev/null >"$TESTDIR/out" 2>&1 &
started $!
runs() { "$SENTRYCTL" --user --no-legend list | grep -w box | grep -qw running; }
check "a sandbox runs" await 20 runs || diag "$(cat "$TESTDIR/out")"

for pair in Manager:/org/sentryd1 Sandbox:/org/sentryd1/sandbox/box; do
        name=org.sentryd1.${pair%%:*}
        interface "${pair#*:}" "$name" >"$TESTDIR/$name.xml"
        [ -z "${SENTRYD_UPDATE_DBUS:-}" ] || cp "$TESTDIR/$name.xml" "$srcdir/doc/dbus/$name.xml"
        if out=$(diff -u "$srcdir/doc/dbus/$name.xml" "$TESTDIR/$name.xml" 2>&1); then
                ok "doc/dbus/$name.xml is what the daemon says"
        else
                not_ok "doc/dbus/$name.xml is what the daemon says" "$out" \
                        "If that is meant to be: SENTRYD_UPDATE_DBUS=1 make check TESTS=tests/bus/interface.sh"
        fi
done
check "it ends" "$SENTRYCTL" --user kill --wait box

# compare WHAT: prints what does not fit
compare() {
        /usr/bin/python3 - "$srcdir" "$TESTDIR" "$1" <<'END'
import re, sys, xml.etree.ElementTree as ET
srcdir, testdir, what = sys.argv[1:]
man = open(f"{srcdir}/man/org.sentryd1.5").read()
authorize = open(f"{srcdir}/daemon/manager/authorize.c").read()
policy = open(f"{srcdir}/units/org.sentryd1.policy").read()
header = open(f"{srcdir}/daemon/common/bus-util.h").read()
interfaces = {i: ET.parse(f"{testdir}/org.sentryd1.{i}.xml").getroot()[0] for i in ("Manager", "Sandbox")}
sections = dict(re.findall(r"^\.Sh ([A-Z ]+)\n(.*?)(?=^\.Sh |\Z)", man, re.M | re.S))
bad = []

def arguments(member, directed):
    return [(f"{a.get('direction')} " if directed else "") + f"{a.get('type')} {a.get('name')}" for a in member.findall("arg")]

if what == "man":
    for name, interface in interfaces.items():
        # .It Fn Name "in s x" …, or within a sentence: .Fn Name "s x" …
        said = {m[1]: re.findall(r'"([^"]*)"', m[2]) for m in re.finditer(r"^\.(?:It )?Fn (\w+)((?: \"[^\"]*\")*)", sections[name.upper()], re.M)
                if m[0].startswith(".It") or m[2]}
        properties = dict((w, t) for words, t in
                          re.findall(r"^\.Va ([\w ,]+?) Pq (\w+)", sections[name.upper()].split("Properties:")[1], re.M)
                          for w in words.replace(",", " ").split())
        members = set()
        for member in interface:
            n = member.get("name")
            members.add(n)
            if member.tag == "property":
                if properties.get(n) != member.get("type"):
                    bad.append(f"property {name}.{n} of type {member.get('type')}: org.sentryd1(5) has {properties.get(n)}")
            elif n not in said:
                bad.append(f"{member.tag} {name}.{n} is not in org.sentryd1(5)")
            elif said[n] != arguments(member, member.tag == "method"):
                bad.append(f"{member.tag} {name}.{n} has {arguments(member, member.tag == 'method')}, org.sentryd1(5) says {said[n]}")
        bad += [f"{n} in org.sentryd1(5) is nothing of {name}" for n in said if n not in members]
elif what == "authorize":
    rows = re.findall(r'\{ (BUS_\w+_INTERFACE), *"(\w+)", *"(org\.sentryd1\.[\w-]+)" *\}', authorize)
    methods = {m.get("name") for m in interfaces["Sandbox"].findall("method")}
    for interface, member, action in rows:
        if f'<action id="{action}">' not in policy:
            bad.append(f"the policy has no action {action}")
        # In the manual page the methods stand below their action.
        part = re.search(rf"^\.It Li {re.escape(action)}\n(.*?)(?=^\.It Li|^\.El)", sections["AUTHORIZATION"], re.M | re.S)
        if interface == "BUS_SANDBOX_INTERFACE":
            if member not in methods:
                bad.append(f"authorize.c has {member}, which is no method of a sandbox")
            if not part or not re.search(rf"^\.Fn {member}( |$)", part[1], re.M):
                bad.append(f"org.sentryd1(5) does not say that {member}() takes {action}")
    have = {member for interface, member, action in rows}
    bad += [f"authorize.c says nothing of {m}" for m in sorted(methods - have)]
    used = set(re.findall(r'"(org\.sentryd1\.[\w-]+)"', authorize))
    bad += [f"authorize.c does not know the policy's {a}" for a in re.findall(r'<action id="([^"]*)"', policy) if a not in used]
elif what == "errors":
    errors = re.findall(r'"org\.sentryd1\.Error(\.\w+)"', header)
    bad += [f"org.sentryd1.Error{e} is not in org.sentryd1(5)" for e in errors if not re.search(re.escape(e) + r"\b", sections["ERROR NAMES"])]
    bad += [f"org.sentryd1.Error.{e} in org.sentryd1(5) is none" for e in re.findall(r"org\.sentryd1\.Error\.(\w+)", sections["ERROR NAMES"])
            if "." + e not in errors]
    if len(errors) < 10:
        bad.append("where are the errors?")
print("\n".join(bad))
END
}
is "$(compare man)" '' "org.sentryd1(5) has every method, signal and property, with its types"
is "$(compare authorize)" '' "authorize.c, the policy and org.sentryd1(5) have an action for each method of a sandbox"
is "$(compare errors)" '' "org.sentryd1(5) has every error name of ours"

done_testing
