# SPDX-License-Identifier: LGPL-2.1-or-later

systemdsystemunitdir = $(prefix)/lib/systemd/system
systemduserunitdir = $(prefix)/lib/systemd/user
dbussessionservicedir = $(datadir)/dbus-1/services
dbuspolicydir = $(DBUS_SYSTEM_POLICY_DIR)

nodist_systemdsystemunit_DATA = units/system/sentryd.service
nodist_systemduserunit_DATA = units/user/sentryd.service
nodist_dbussessionservice_DATA = units/org.sentryd1.service
dist_dbuspolicy_DATA = units/org.sentryd1.conf

unit_templates = \
	units/system/sentryd.service \
	units/user/sentryd.service \
	units/org.sentryd1.service
EXTRA_DIST += $(unit_templates:=.in)
CLEANFILES += $(unit_templates)
$(unit_templates): %: %.in Makefile
	$(AM_V_GEN)$(MKDIR_P) $(@D) && sed -e 's|@pkglibexecdir[@]|$(pkglibexecdir)|g' $< >$@.tmp && mv $@.tmp $@
