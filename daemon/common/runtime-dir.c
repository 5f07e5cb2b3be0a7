/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <sys/stat.h>

#include "runtime-dir.h"
#include "util.h"

static bool is_own_directory(const char *path) {
        struct stat st;

        return stat(path, &st) >= 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid();
}

int runtime_dir_of_user(char **ret) {
        const char *runtime = getenv("XDG_RUNTIME_DIR");
        _cleanup_free_ char *path = NULL;
        int r;

        *ret = NULL;
        if (runtime && runtime[0] == '/' && is_own_directory(runtime))
                return string_appendf(ret, "%s/sentryd", runtime);

        r = string_appendf(&path, "/run/user/%u", (unsigned) geteuid());
        if (r < 0)
                return r;
        if (is_own_directory(path))
                return string_appendf(ret, "%s/sentryd", path);
        return string_appendf(ret, "/tmp/sentryd-%u", (unsigned) geteuid());
}
