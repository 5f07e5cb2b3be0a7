/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Where instances of a user keep what lives as long as they do: sockets, locks, who there is. */

/* $XDG_RUNTIME_DIR/sentryd, /run/user/UID/sentryd or /tmp/sentryd-UID, the first whose parent is ours. It need not exist.
 * An $XDG_RUNTIME_DIR of somebody else (after su, say) does not count. The caller frees. 0 or -ENOMEM. */
int runtime_dir_of_user(char **ret);
