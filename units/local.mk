# SPDX-License-Identifier: LGPL-2.1-or-later

systemdsystemunitdir = $(prefix)/lib/systemd/system
systemduserunitdir = $(prefix)/lib/systemd/user
dbussystemservicedir = $(datadir)/dbus-1/system-services
dbussessionservicedir = $(datadir)/dbus-1/services
dbuspolicydir = $(DBUS_SYSTEM_POLICY_DIR)
polkitactiondir = $(POLKIT_ACTION_DIR)

nodist_systemdsystemunit_DATA = units/system/sentryd.service
nodist_systemduserunit_DATA = units/user/sentryd.service
nodist_dbussystemservice_DATA = units/system/org.sentryd1.service
nodist_dbussessionservice_DATA = units/session/org.sentryd1.service
systemdcatalogdir = $(prefix)/lib/systemd/catalog
dist_systemdcatalog_DATA = units/sentryd.catalog
dist_dbuspolicy_DATA = units/org.sentryd1.conf
dbusinterfacedir = $(datadir)/dbus-1/interfaces
dist_dbusinterface_DATA = doc/dbus/org.sentryd1.Manager.xml doc/dbus/org.sentryd1.Sandbox.xml
dist_polkitaction_DATA = units/org.sentryd1.policy

# Drop-ins as `sentryctl harden` makes them.
examplesdir = $(docdir)/examples
nodist_examples_DATA = \
	units/examples/nginx.conf \
	units/examples/postgresql.conf \
	units/examples/redis-server.conf

unit_templates = \
	$(nodist_examples_DATA) \
	units/system/sentryd.service \
	units/system/org.sentryd1.service \
	units/user/sentryd.service \
	units/session/org.sentryd1.service
EXTRA_DIST += $(unit_templates:=.in)
CLEANFILES += $(unit_templates)
$(unit_templates): %: %.in Makefile
	$(AM_V_GEN)$(MKDIR_P) $(@D) && sed -e 's|@pkglibexecdir[@]|$(pkglibexecdir)|g' -e 's|@bindir[@]|$(bindir)|g' $< >$@.tmp && mv $@.tmp $@

# So that `journalctl -x` explains right away. A package does that by a trigger of its own.
install-data-hook: update-catalog
.PHONY: update-catalog
update-catalog:
	-@if [ -z "$(DESTDIR)" ] && case "$(prefix)" in /usr | /usr/local) : ;; *) false ;; esac && \
		[ -w /var/lib/systemd/catalog ]; then journalctl --update-catalog; fi
