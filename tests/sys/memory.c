/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Memory that changes while a call uses it: every call succeeds, or is EFAULT, and nothing else. */

#include <sys/sysinfo.h>
#include <sys/utsname.h>

#include "sys.h"

#define ROUNDS 5000

static char *page; /* two pages, of which the second comes and goes */
static atomic_bool stop;
static atomic_long changes;

static void *changer(void *arg) {
        char *target = page + PAGE;
        unsigned step = 0;

        while (!stop) {
                switch (step++ % 5) {
                case 0:
                        munmap(target, PAGE);
                        break;
                case 1:
                        if (mmap(target, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
                            MAP_FAILED)
                                return arg;
                        memset(target, 0xff, 64); /* CPUs that may be there */
                        break;
                case 2:
                        mprotect(target, PAGE, PROT_READ);
                        break;
                case 3:
                        mprotect(target, PAGE, PROT_NONE);
                        break;
                case 4:
                        mprotect(target, PAGE, PROT_READ | PROT_WRITE);
                        break;
                }
                changes++;
                if (step % 3 == 0)
                        sched_yield();
        }
        return NULL;
}

struct Count {
        long good, fault, other;
        long last_other;
};

static void count(struct Count *c, long r) {
        if (r >= 0)
                c->good++;
        else if (r == -EFAULT)
                c->fault++;
        else {
                c->other++;
                c->last_other = r;
        }
}

static void call(const char *name, long (*f)(char *at)) {
        struct Count c = {};
        int64_t end = now_ns(CLOCK_MONOTONIC) + 5000000000;

        for (int i = 0; i < ROUNDS || ((c.good == 0 || c.fault == 0) && now_ns(CLOCK_MONOTONIC) < end); i++) {
                count(&c, f(page + PAGE));      /* at the start of the page that changes */
                count(&c, f(page + PAGE - 8));  /* from the page that stays into it */
        }
        ok(c.good > 0 && c.fault > 0, "%s: both happen: %ld good, %ld EFAULT", name, c.good, c.fault);
        is_int(c.other, 0, "%s: nothing else happens (last %ld)", name, c.last_other);
}

static long do_uname(char *at) {
        return RAW(SYS_uname, at);
}

static long do_sysinfo(char *at) {
        return RAW(SYS_sysinfo, at);
}

static long do_sethostname(char *at) {
        return RAW(SYS_sethostname, at, 40);
}

static long do_setdomainname(char *at) {
        return RAW(SYS_setdomainname, at, 40);
}

static long do_getaffinity(char *at) {
        return RAW(SYS_sched_getaffinity, 0, 1024, at);
}

static long do_setaffinity(char *at) {
        long r = RAW(SYS_sched_setaffinity, 0, 64, at);

        /* A page just mapped is empty: so is the mask, then. */
        return r == -EINVAL ? 0 : r;
}

int main(void) {
        pthread_t thread;
        struct utsname u;
        void *result;

        page = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (page == MAP_FAILED)
                tap_bail_out("mmap");
        memset(page, 0xff, 2 * PAGE);
        if (pthread_create(&thread, NULL, changer, page) != 0)
                tap_bail_out("pthread_create");

        call("uname", do_uname);
        call("sysinfo", do_sysinfo);
        call("sethostname", do_sethostname);
        call("setdomainname", do_setdomainname);
        call("sched_getaffinity", do_getaffinity);
        call("sched_setaffinity", do_setaffinity);

        stop = true;
        pthread_join(thread, &result);
        ok(!result && changes > 10, "the memory changed %ld times meanwhile", (long) changes);
        is_int(sethostname("after", 5), 0, "afterwards all is well");
        is_int(uname(&u), 0, "uname");
        is_str(u.nodename, "after", "… and right");
        return tap_done();
}
