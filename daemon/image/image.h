/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A saved sandbox in memory: what sentryd-image(5) describes, as the dumper fills it in and the restorer reads it. An
 * image is a directory: manifest.json holds everything that has a name, data.img the bytes that have none (registers of
 * the vector unit, contents of pipes, records of the emulated kernel), pages-N.img memory.
 *
 * Each struct has one function in image-visit.c that visits its fields and by which they are written and read; so the
 * two never disagree, and every field that is read is checked there against its bounds. What has no field there is not
 * in an image. All numbers of tasks are those of the sandbox's own PID namespace, ids of users those of its user
 * namespace. Arrays and strings are owned by the struct that points to them. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/sysmacros.h>
#include <sys/types.h>

#define IMAGE_FORMAT "sentryd-image"
#define IMAGE_VERSION 1U
#define IMAGE_MANIFEST "manifest.json"
#define IMAGE_DATA "data.img"

#define IMAGE_PAGE 4096U
#define IMAGE_BLOCK (1U << 20) /* bytes that a checksum is made of at a time, and that are compressed together */

/* Limits on what a manifest may say. */
#define IMAGE_MANIFEST_MAX (256U << 20)
#define IMAGE_PROCESSES_MAX 32768U
#define IMAGE_THREADS_MAX 32768U /* of one process */
#define IMAGE_MAPS_MAX 1048576U
#define IMAGE_RUNS_MAX 16777216U
#define IMAGE_FILES_MAX 1048576U
#define IMAGE_FDS_MAX 1048576U
#define IMAGE_PAGE_FILES_MAX 64U
#define IMAGE_NODES_MAX 4194304U
#define IMAGE_IPC_MAX 131072U     /* of all kinds together: the kernel has 32768 of each at most by default */
#define IMAGE_SEMAPHORES_MAX 32768U /* of one set */
#define IMAGE_SEMAPHORE_MAX 32767 /* the value of one */
#define IMAGE_UNDO_MAX 1048576U
#define IMAGE_MESSAGES_MAX 1048576U
#define IMAGE_MESSAGE_MAX 65536U  /* bytes of one message */
#define IMAGE_MQUEUES_MAX 65536U
#define IMAGE_MQUEUE_MESSAGES_MAX 65536U       /* in one queue: mq_overview(7) */
#define IMAGE_MQUEUE_MESSAGE_MAX (16U << 20)   /* bytes of one */
#define IMAGE_MQUEUE_PRIORITIES 32768U
#define IMAGE_PATH_MAX 4096U
#define IMAGE_NONE UINT32_MAX /* an index of nothing */

/* What a reader must know beyond the version; a manifest that lists others is refused. Bits of Image.features. */
typedef enum ImageFeature {
        IMAGE_FEATURE_ZSTD,    /* page files are compressed */
        IMAGE_FEATURE_TCP,     /* connected TCP sockets */
        IMAGE_FEATURE_SYSV,    /* System V IPC objects */
        IMAGE_FEATURE_MQUEUE,  /* POSIX message queues */
        IMAGE_FEATURE_PTY,     /* bytes in pseudo terminals, stopped ones, packet mode */
        _IMAGE_FEATURE_MAX,
} ImageFeature;

/* Bytes in data.img. size 0: none. */
typedef struct ImageBlob {
        uint64_t offset, size;
} ImageBlob;

/* Memory in a page file: whole pages that are not all zeros. */
typedef struct ImageRun {
        uint64_t address; /* in the process, or in the object (ImageObject, ImageNode) from its start; of pages */
        uint64_t size;    /* bytes, of pages */
        uint32_t file;    /* N of pages-N.img */
        uint64_t offset;  /* in the file; of pages unless compressed */
        uint64_t stored;  /* bytes in the file: size, or fewer when compressed (then size is IMAGE_BLOCK at most) */
} ImageRun;

typedef struct ImageRuns {
        ImageRun *items;
        size_t n, n_allocated;
} ImageRuns;

/* Where a file lies and what makes it the same one at the restore. */
typedef struct ImagePlace {
        char *path;     /* in the sandbox's mount namespace */
        uint64_t dev, ino, size;
        uint32_t mode;  /* st_mode */
        int64_t mtime_sec;
        uint32_t mtime_nsec;
} ImagePlace;

/* ---- the host it was saved on ---- */

typedef struct ImageCpu {
        char *vendor;          /* /proc/cpuinfo: vendor_id */
        char *flags;           /* /proc/cpuinfo: flags, separated by blanks: what programs may have found by cpuid */
        uint64_t xfeatures;    /* XCR0: the states that an xstate may hold */
        uint32_t xstate_size;  /* bytes that PTRACE_GETREGSET(NT_X86_XSTATE) gives */
} ImageCpu;

typedef struct ImageHost {
        char *machine, *release, *sentryd; /* uname(2), the version of sentryd */
        uint32_t page_size;
        uint64_t vdso_size;
        uint64_t vdso_hash;    /* XXH64 of its pages */
        uint64_t vvar_size;    /* of all mappings of [vvar…] together */
} ImageHost;

/* CLOCK_REALTIME when time stopped, and what the sandbox read of the others then. */
typedef struct ImageClocks {
        int64_t realtime_ns, monotonic_ns, boottime_ns;
} ImageClocks;

/* ---- memory ---- */

typedef enum ImageMapKind {
        IMAGE_MAP_ANONYMOUS,   /* private, of no file */
        IMAGE_MAP_OBJECT,      /* shared, of Image.objects[object] from offset on */
        IMAGE_MAP_OBJECT_PRIVATE, /* private of such an object */
        IMAGE_MAP_FILE,        /* private, of a file: place, offset */
        IMAGE_MAP_FILE_SHARED,
        IMAGE_MAP_VDSO,
        IMAGE_MAP_VVAR,        /* any of [vvar], [vvar_vclock] */
        _IMAGE_MAP_KIND_MAX,
} ImageMapKind;

/* Bits of ImageMap.flags; "VmFlags" of proc_pid_smaps(5). */
#define IMAGE_MAP_GROWSDOWN 0x1U
#define IMAGE_MAP_LOCKED 0x2U
#define IMAGE_MAP_NORESERVE 0x4U
#define IMAGE_MAP_DONTFORK 0x8U
#define IMAGE_MAP_DONTDUMP 0x10U
#define IMAGE_MAP_WIPEONFORK 0x20U
#define IMAGE_MAP_HUGEPAGE 0x40U    /* MADV_HUGEPAGE */
#define IMAGE_MAP_NOHUGEPAGE 0x80U
#define IMAGE_MAP_MERGEABLE 0x100U
#define IMAGE_MAP_LOCK_ON_FAULT 0x200U
#define IMAGE_MAP_SEQUENTIAL 0x400U
#define IMAGE_MAP_RANDOM 0x800U
#define IMAGE_MAP_MAYWRITE 0x1000U   /* a shared map of a file that was opened for writing */

typedef struct ImageRange {
        uint64_t start, end;
} ImageRange;

typedef struct ImageMap {
        uint64_t start, end;  /* of pages */
        uint32_t protection;  /* PROT_* */
        ImageMapKind kind;
        uint32_t flags;       /* IMAGE_MAP_* */
        uint64_t offset;      /* in the file or object */
        uint32_t hugetlb;     /* ANONYMOUS, of hugetlbfs: log2 of its pages; else 0 */
        uint32_t object;      /* of Image.objects, or IMAGE_NONE */
        uint32_t file;        /* of Image.files that is the same open file, or IMAGE_NONE: place alone */
        ImagePlace place;     /* FILE, FILE_SHARED */
        char *name;           /* of vdso, vvar; PR_SET_VMA_ANON_NAME's; or NULL */
        ImageRange *guards;   /* MADV_GUARD_INSTALL */
        size_t n_guards;
} ImageMap;

/* The fields of struct prctl_mm_map. */
typedef struct ImageMmFields {
        uint64_t start_code, end_code, start_data, end_data, start_brk, brk, start_stack;
        uint64_t arg_start, arg_end, env_start, env_end;
} ImageMmFields;

/* Memory that several may share or that has a descriptor: of MAP_SHARED|MAP_ANONYMOUS, memfd_create(2), shmget(2), or a
 * file that has no name any more. */
typedef enum ImageObjectKind {
        IMAGE_OBJECT_ANONYMOUS,
        IMAGE_OBJECT_MEMFD,
        IMAGE_OBJECT_SYSV,
        IMAGE_OBJECT_DELETED, /* an unlinked file; name: its last path */
        _IMAGE_OBJECT_KIND_MAX,
} ImageObjectKind;

typedef struct ImageObject {
        ImageObjectKind kind;
        char *name;        /* of a memfd, without "memfd:" */
        uint64_t size;
        uint32_t mode;     /* permissions */
        uint32_t uid, gid;
        uint32_t seals;    /* F_SEAL_* */
        uint32_t hugetlb;  /* log2 of its pages, or 0 */
        int32_t sysv_id;   /* shmid */
        ImageRuns runs;    /* addresses are offsets in it */
} ImageObject;

/* ---- signals and timers ---- */

typedef struct ImageSigaction {
        uint32_t signo;
        uint64_t handler, flags, restorer, mask; /* as the kernel keeps them: struct kernel_sigaction */
} ImageSigaction;

/* Signals that wait: bytes of siginfo_t (128 each) one after the other. */
typedef struct ImageTimer { /* of timer_create(2), known to the host only: on clocks of CPU time */
        int32_t id, clock;
        int32_t notify, signo, tid; /* sigevent; tid: 0 or of SIGEV_THREAD_ID */
        uint64_t value;             /* sigev_value */
        uint64_t interval_ns, remaining_ns;
        int32_t overrun;
} ImageTimer;

/* ---- tasks ---- */

#define IMAGE_REGS 27U /* of struct user_regs_struct, in its order */

typedef struct ImageThread {
        int32_t tid;
        char *comm;
        uint64_t regs[IMAGE_REGS]; /* raw: orig_rax and rax as the stop found them */
        ImageBlob xstate;          /* NT_X86_XSTATE */
        uint64_t sigmask;
        ImageBlob pending;         /* siginfo_t of 128 bytes each */
        uint64_t altstack_sp, altstack_size;
        uint32_t altstack_flags;
        uint64_t rseq_address, rseq_size, rseq_signature;
        uint32_t rseq_flags;
        uint64_t robust_list, robust_size;
        uint64_t clear_tid;        /* set_tid_address(2) */
        uint32_t pdeathsig;
        uint64_t timer_slack_ns;
        uint32_t personality;
        uint32_t policy, priority; /* SCHED_*; sched_priority */
        int32_t nice;
        uint32_t sched_flags;
        uint32_t io_priority;      /* ioprio_get(2) */
        char *affinity;            /* list as in cpuset(7) */
        uint32_t uid[4], gid[4];   /* real, effective, saved, file system */
        uint32_t *groups;
        size_t n_groups;
        uint64_t cap_inheritable, cap_permitted, cap_effective, cap_bounding, cap_ambient;
        uint32_t securebits;
        bool no_new_privs, keep_caps;
} ImageThread;

typedef enum ImageTaskState {
        IMAGE_TASK_RUNNING,
        IMAGE_TASK_STOPPED, /* by job control */
        IMAGE_TASK_ZOMBIE,
        _IMAGE_TASK_STATE_MAX,
} ImageTaskState;

#define IMAGE_LIMITS 16U /* RLIMIT_* */

typedef struct ImageFd {
        int32_t number;
        uint32_t file;  /* of Image.files */
        bool cloexec;
} ImageFd;

typedef struct ImageFdTable {
        ImageFd *items;
        size_t n;
} ImageFdTable;

typedef struct ImageProcess {
        int32_t pid, parent, group, session; /* parent 0: outside */
        ImageTaskState state;
        uint32_t exit_status; /* of a zombie, as wait(2) gives it */
        uint32_t exit_signal; /* what its parent gets when it ends */
        uint32_t stop_signal; /* STOPPED */
        char *comm;           /* of a zombie; else the threads' */
        bool subreaper;
        int32_t oom_score_adj;
        uint32_t dumpable;    /* prctl(2) PR_GET_DUMPABLE */
        bool thp_disabled;
        uint64_t coredump_filter;
        uint64_t limits[2 * IMAGE_LIMITS]; /* soft, hard, soft, hard …; UINT64_MAX: infinity */
        uint32_t umask;
        ImagePlace cwd, root;
        uint32_t fd_table;    /* of Image.fd_tables; several may have one */
        uint32_t fs_with;     /* index of an earlier process with which cwd, root and umask are shared (CLONE_FS), or NONE */
        uint32_t terminal;    /* of Image.files: the controlling terminal of its session, or IMAGE_NONE */

        ImagePlace exe;
        ImageMmFields mm;
        ImageBlob auxv;
        ImageMap *maps;       /* by address */
        size_t n_maps;
        ImageRuns runs;       /* private pages, by address */

        ImageSigaction *actions; /* those that are not SIG_DFL */
        size_t n_actions;
        ImageBlob pending;       /* of the whole process; as in a thread */
        uint64_t itimers[4];     /* µs: remaining and interval of ITIMER_VIRTUAL, then of ITIMER_PROF */
        ImageTimer *timers;
        size_t n_timers;
        ImageThread *threads;    /* the leader first */
        size_t n_threads;
} ImageProcess;

/* ---- open files ---- */

typedef enum ImageFileKind {
        IMAGE_FILE_REGULAR,   /* place, position; deleted: object */
        IMAGE_FILE_DIRECTORY,
        IMAGE_FILE_DEVICE,    /* place, rdev */
        IMAGE_FILE_PATH,      /* O_PATH: place */
        IMAGE_FILE_PIPE,      /* peer_id: that of all ends of one pipe; data: in one description of it */
        IMAGE_FILE_FIFO,      /* the same, and place */
        IMAGE_FILE_EVENTFD,   /* value, semaphore */
        IMAGE_FILE_TIMERFD,   /* clock, value_ns, interval_ns, ticks */
        IMAGE_FILE_SIGNALFD,  /* mask */
        IMAGE_FILE_EPOLL,     /* watches */
        IMAGE_FILE_INOTIFY,   /* inotify */
        IMAGE_FILE_MEMFD,     /* object, position */
        IMAGE_FILE_PIDFD,     /* pid */
        IMAGE_FILE_PTY,       /* a pseudo terminal's side made inside: peer_id: its number, master */
        IMAGE_FILE_TTY,       /* /dev/tty, /dev/console: place */
        IMAGE_FILE_UNIX,      /* socket */
        IMAGE_FILE_INET,      /* socket: UDP, TCP */
        IMAGE_FILE_MQUEUE,    /* value */
        IMAGE_FILE_NAMESPACE, /* place.path: "uts:" and the like: of the sandbox's own */
        IMAGE_FILE_OUTSIDE,   /* opened outside of the sandbox: given again at the restore */
        _IMAGE_FILE_KIND_MAX,
} ImageFileKind;

typedef struct ImageWatch { /* of an epoll */
        int32_t number;     /* the descriptor's when it was added */
        uint32_t file;      /* of Image.files */
        uint32_t events;
        uint64_t data;
} ImageWatch;

typedef struct ImageInotify {
        int32_t wd;
        uint32_t mask;
        ImagePlace place;
} ImageInotify;

/* A lock; fcntl_locking(2), flock(2). */
typedef struct ImageLock {
        char type;          /* 'p': POSIX, of pid; 'o': of the open file description; 'f': flock(2) */
        bool write;
        int32_t pid;        /* 'p' */
        uint64_t start, end; /* end: included; UINT64_MAX: to the end of the file */
} ImageLock;

/* What has become of a TCP socket that was connected. */
typedef enum ImageTcpKind {
        IMAGE_TCP_OPEN,  /* its other end is ImageSocket.peer */
        IMAGE_TCP_LEFT,  /* its other end was closed, and all that it sent is in the queue */
        IMAGE_TCP_ENDED, /* both ways: at the end of the queue it reads 0 bytes */
        IMAGE_TCP_RESET, /* at the end of the queue it says ECONNRESET */
        _IMAGE_TCP_KIND_MAX,
} ImageTcpKind;

#define IMAGE_TCP_WSCALE_MAX 14U /* RFC 7323 */
#define IMAGE_TCP_WINDOW_MAX (65535U << IMAGE_TCP_WSCALE_MAX)

/* A TCP connection, as its repair mode tells it: OPEN and LEFT have all, the others only the kind. What this end has sent and
 * the other has not received is its send_queue: so one's snd_seq is the other's rcv_seq. */
typedef struct ImageTcp {
        ImageTcpKind kind;
        uint32_t snd_seq;   /* of the first byte of send_queue */
        uint32_t rcv_seq;   /* of the first byte behind the queue */
        uint32_t window;    /* bytes that the other end may send */
        uint32_t timestamp; /* TCP_TIMESTAMP */
        uint32_t mss;
        uint32_t options;   /* TCPI_OPT_TIMESTAMPS, TCPI_OPT_SACK, TCPI_OPT_WSCALE */
        uint32_t snd_wscale, rcv_wscale;
} ImageTcp;

#define IMAGE_RIGHTS_MAX 253U           /* descriptors in a message: SCM_MAX_FD of the kernel */
#define IMAGE_ANCILLARY_MAX (96U << 10) /* bytes of a message that has such */

/* What came with a message (unix(7)): descriptors, and credentials as seen inside. */
typedef struct ImageAncillary {
        uint64_t message;    /* of sizes */
        int32_t pid;         /* 0: no credentials, or of somebody unknown */
        uint32_t uid, gid;
        uint32_t *files;     /* of Image.files */
        size_t n_files;
} ImageAncillary;

/* Queued messages of a socket: in data.img one after the other; sizes[] says where each ends. */
typedef struct ImageSocket {
        int32_t family, type, protocol, state; /* AF_*, SOCK_*, IPPROTO_*; TCP_* */
        bool listening;
        uint32_t backlog;
        ImageBlob address, peer_address; /* struct sockaddr */
        uint32_t peer;      /* of Image.files: the other end, or IMAGE_NONE */
        bool shut_read, shut_write;
        uint32_t credentials[3]; /* SO_PEERCRED: pid, uid, gid as seen inside */
        ImagePlace place;   /* a bound UNIX socket's file */
        ImageBlob queue;    /* bytes that wait to be read */
        uint64_t *sizes;    /* of each message in queue; a stream has some only with ancillary */
        size_t n_sizes;
        ImageAncillary *ancillary; /* UNIX; by message */
        size_t n_ancillary;
        ImageBlob senders;  /* datagrams: u32 length and a struct sockaddr for each of sizes */
        int64_t *options;   /* level, name, value, … of setsockopt(2), those of image_socket_option() */
        size_t n_options;
        bool queued;        /* a client whose connection nobody has accepted: a listening socket of the image has the peer_address */
        ImageTcp *tcp;      /* feature tcp; NULL: it was never connected, or is queued */
        ImageBlob send_queue; /* TCP: what the other end has not received */
} ImageSocket;

typedef struct ImageFile {
        ImageFileKind kind;
        uint32_t flags;       /* O_*: F_GETFL */
        uint64_t position;
        ImagePlace place;
        char *was;            /* for people: what /proc/PID/fd/N leads to */
        int32_t owner;        /* F_GETOWN_EX: 0, or a pid, tid or group */
        int32_t owner_type;   /* F_OWNER_* */
        int32_t signal;       /* F_GETSIG */
        uint32_t object;      /* MEMFD, REGULAR that is deleted; or IMAGE_NONE */
        uint64_t peer_id;     /* PIPE, FIFO, PTY */
        uint32_t capacity;    /* PIPE: F_GETPIPE_SZ */
        ImageBlob data;       /* PIPE: what is in it; PTY, of a master: output that nobody has read */
        uint64_t *sizes;      /* PIPE of packets (O_DIRECT): of each in data */
        size_t n_sizes;
        uint32_t outside;     /* OUTSIDE: the number it has to come by: the lowest that any process has it under */
        uint64_t rdev;        /* DEVICE, OUTSIDE */
        uint64_t value;       /* EVENTFD: count; SIGNALFD: mask; TIMERFD: ticks; PIDFD: pid; PTY: 1 master; INOTIFY: 1: had events; MQUEUE: of Image.mqueues;
                               * OUTSIDE: 1: the pipe of sentry-init to its launcher */
        bool semaphore;       /* EVENTFD */
        int32_t clock;        /* TIMERFD */
        uint32_t timer_flags; /* TIMERFD: of timerfd_settime(2) */
        uint64_t value_ns, interval_ns; /* TIMERFD: as timerfd_gettime(2), had it been asked when Image.clocks were read */
        ImageBlob termios, winsize;     /* PTY, and OUTSIDE when it is a terminal: struct termios2, struct winsize */
        int32_t pty_session, pty_group; /* likewise: whose terminal it is, and who has the foreground; 0: somebody outside */
        ImageBlob input;      /* PTY, of a master: what the slave has to read */
        uint32_t edited;      /* bytes of that, those that were typed first, that the line discipline has been through */
        bool marks;           /* NULs in those are ends of file that were typed */
        uint32_t stop;        /* PTY, of a master: PtyStop */
        bool packet;          /* likewise: TIOCPKT */
        ImageWatch *watches;
        size_t n_watches;
        ImageInotify *inotify;
        size_t n_inotify;
        ImageLock *locks;
        size_t n_locks;
        ImageSocket *socket;  /* UNIX, INET; else NULL */
} ImageFile;

/* ---- file systems in memory ---- */

typedef struct ImageNode {
        char *path;      /* from the mount on, "" for its root */
        uint32_t mode;   /* st_mode */
        uint32_t uid, gid;
        int64_t mtime_sec;
        uint32_t mtime_nsec;
        uint64_t size;
        uint64_t rdev;
        uint64_t ino;    /* nodes with the same are one file */
        char *target;    /* of a symbolic link */
        ImageRuns runs;  /* of a regular file: addresses are offsets in it, the last page filled up with zeros */
} ImageNode;

typedef struct ImageTmpfs {
        char *mount;     /* where it is mounted */
        ImageNode *nodes; /* parents first */
        size_t n_nodes;
} ImageTmpfs;

/* ---- System V IPC ---- */

#define IMAGE_IPC_REMOVED 01000U /* in ImageIpc.mode: shared memory that goes with its last user (SHM_DEST) */
#define IMAGE_IPC_LOCKED 02000U  /* and that stays in memory (SHM_LOCKED) */

/* What the kernel adds to a semaphore when a process ends (SEM_UNDO of semop(2)). Three numbers of ImageIpc.undo. */
typedef struct ImageUndo {
        int64_t process, number, adjustment; /* process: of Image.processes */
} ImageUndo;

typedef struct ImageIpc {
        char type;       /* 'm': memory, 's': semaphores, 'q': messages */
        int32_t id, key;
        uint32_t mode;   /* permissions, IMAGE_IPC_* */
        uint32_t uid, gid, cuid, cgid;
        uint32_t object; /* 'm': of Image.objects */
        uint32_t *values; /* 's' */
        size_t n_values;
        uint32_t *pids;  /* 's': who changed each last; 0: nobody who is known. As many as values */
        size_t n_pids;
        int64_t *undo;   /* 's': struct ImageUndo, one after the other */
        size_t n_undo;
        uint64_t max_bytes; /* 'q' */
        ImageBlob messages; /* 'q': their bytes, one after the other */
        uint64_t *sizes; /* 'q': of each message */
        size_t n_sizes;
        int64_t *types;  /* 'q': mtype of each */
        size_t n_types;
} ImageIpc;

/* A POSIX message queue; mq_overview(7). */
typedef struct ImageMqueue {
        char *name;          /* without the slash at the start */
        bool removed;        /* it has no name any more, but somebody has it open */
        uint32_t mode, uid, gid;
        uint32_t max_messages, message_size;
        ImageBlob messages;  /* their bytes, one after the other, as they would be received */
        uint64_t *sizes;     /* of each */
        size_t n_sizes;
        uint32_t *priorities; /* as many */
        size_t n_priorities;
} ImageMqueue;

/* ---- the whole ---- */

typedef struct ImagePageFile {
        uint64_t size, checksum; /* sum_blocks() */
} ImagePageFile;

typedef struct Image {
        uint32_t version;
        uint64_t features;   /* bit (1 << ImageFeature) */
        ImageCpu cpu;
        ImageHost host;
        ImageClocks clocks;
        char *name;          /* of the sandbox */
        char *profile;       /* its document, resolved */
        char *container;     /* what its first program belongs to */
        uint32_t walls;      /* bit (1 << LaunchWall) */
        uint32_t n_cpus;     /* online when it was saved */
        int64_t started_usec; /* CLOCK_REALTIME */
        ImageBlob kernel;    /* what kernel_image() writes */
        uint64_t memory;     /* bytes of memory in page files, for progress */
        ImagePageFile *page_files;
        size_t n_page_files;
        ImagePageFile data;
        ImageProcess *processes; /* init first, parents before children */
        size_t n_processes;
        ImageFdTable *fd_tables;
        size_t n_fd_tables;
        ImageFile *files;
        size_t n_files;
        ImageObject *objects;
        size_t n_objects;
        ImageTmpfs *tmpfs;
        size_t n_tmpfs;
        ImageIpc *ipc;
        size_t n_ipc;
        ImageMqueue *mqueues;
        size_t n_mqueues;
} Image;

const char *image_feature_to_string(int feature);
const char *image_map_kind_to_string(int kind);
const char *image_object_kind_to_string(int kind);
const char *image_task_state_to_string(int state);
const char *image_file_kind_to_string(int kind);
const char *image_tcp_kind_to_string(int kind);

/* How the value of an option of a socket is kept in a number. */
typedef enum ImageOptionForm {
        IMAGE_OPTION_INT,
        IMAGE_OPTION_HALF,   /* half of what getsockopt(2) says: the kernel doubles it */
        IMAGE_OPTION_LINGER, /* struct linger: seconds, or -1 */
        IMAGE_OPTION_TIME,   /* struct timeval: microseconds */
} ImageOptionForm;

typedef struct ImageOption {
        int level, name;
        int family;          /* AF_*; 0: any */
        bool tcp;            /* of TCP alone */
        ImageOptionForm form;
} ImageOption;

/* The options that an image may have, in the order in which they are set. NULL at their end. */
const ImageOption *image_socket_option(size_t index);

ImageSocket *image_socket_free(ImageSocket *socket);
Image *image_new(void);
Image *image_free(Image *image);
static inline void image_freep(Image **image) { image_free(*image); }

/* Makes room for one more at the end of an array of a struct, zeroed; NULL without memory. n counts it already. */
void *image_grow(void **items, size_t *n, size_t size);
#define IMAGE_APPEND(items, n) ((__typeof__(items)) image_grow((void **) &(items), &(n), sizeof(*(items))))

/* 0 or -ENOMEM. Joined to the last one when it goes on there in memory and in the file. */
int image_runs_add(ImageRuns *runs, const ImageRun *run);

/* The JSON of an image, without its checksum; the caller puts it. NULL without memory. */
struct json_object *image_to_json(Image *image);
/* Fills a new image from JSON that anybody may have written. 0; -EBADMSG with a message that names the key, the value and
 * what is allowed; -EOPNOTSUPP with one for an image of a later version or with features that are not known here. */
int image_from_json(struct json_object *root, Image **ret, char **ret_message);

/* The device in field 7 of /proc/PID/stat, as the kernel packs it. */
static inline dev_t image_unpack_tty(uint64_t packed) {
        return makedev((packed >> 8) & 0xfff, (packed & 0xff) | ((packed >> 12) & 0xfff00));
}

/* XXH64 with a seed of 0: it finds accidents, and does not tell who made an image. */
uint64_t image_hash(const void *data, size_t size);
