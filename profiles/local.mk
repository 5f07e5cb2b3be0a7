# SPDX-License-Identifier: LGPL-2.1-or-later

profiledir = $(pkgdatadir)/profiles
dist_profile_DATA = \
	profiles/build.json \
	profiles/default.json \
	profiles/service.json

# An uninstalled sentryd takes the profiles beside its own binary.
all-local: profiles/.stamp
profiles/.stamp: $(dist_profile_DATA)
	@$(MKDIR_P) profiles
	@for p in $(dist_profile_DATA); do \
		f=$$p; test -e "$$f" || f=$(srcdir)/$$p; \
		test "$$f" -ef "$$p" || cp "$$f" "$$p" || exit 1; \
	done
	@touch $@
CLEANFILES += profiles/.stamp
clean-local:
	test . -ef $(srcdir) || rm -f $(dist_profile_DATA)
