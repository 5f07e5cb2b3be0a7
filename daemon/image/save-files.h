/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the parts of save-files.c share: the descriptions that are known, and who has them. */

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "save.h"

/* Image.files[i] is known[i]. */
typedef struct Known {
        pid_t pid;       /* one who has it open, */
        int number;      /* and under which number */
        size_t process;  /* the same, in Save.processes */
        int fd;          /* owned: a copy of it, where it is looked at again; -EBADF */
        uint64_t dev, ino; /* OUTSIDE: what it is */
        uint32_t strangers; /* messages in it, of AF_UNIX and datagrams, from addresses that nobody has any more, or too large */
        bool flying;     /* nobody has it but a message in a socket of the process; pid and number are ours */
} Known;

/* Of an IP socket; IPv4 as IPv6 has it within. */
typedef struct Endpoint {
        struct in6_addr address;
        uint16_t port;
} Endpoint;

/* What sock_diag(7) says of a socket. */
typedef struct NetSocket {
        uint64_t ino, peer;      /* 0: nobody has it open */
        uint32_t state;          /* TCP_*, as all families have it here */
        uint32_t backlog;        /* of a listening one */
        uint32_t waiting;        /* bytes that wait to be read; of a listening one connections */
        bool tcp;
        Endpoint local, remote;  /* of TCP */
} NetSocket;

/* A POSIX message queue: Image.mqueues[i] is Files.mqueues[i]. */
typedef struct SaveMqueue {
        uint64_t ino;
        uint32_t holder; /* of Image.files: one that is this queue; IMAGE_NONE: nobody has it open */
} SaveMqueue;

typedef struct Files {
        Save *save;
        Known *known;
        size_t n_known;
        size_t *order;          /* owned: indices of known, as kcmp(2) orders them */
        size_t n_order;
        size_t *table_order, n_table_order;     /* the same of tables */
        size_t *table_process, n_table_process; /* owned: of each table, one who has it */
        uint64_t *mounts;       /* owned: the sandbox's, by their ids */
        size_t n_mounts;
        NetSocket *sockets;     /* owned: of the sandbox's network namespace, by inode */
        size_t n_sockets;
        SaveMqueue *mqueues;    /* owned */
        size_t n_mqueues;
        bool host_network;      /* that is the host's */
} Files;

/* A description that is looked at. */
typedef struct FileContext {
        Files *files;
        size_t process;
        pid_t pid;         /* of it, or ours when it is in a message only */
        int number, fd;    /* the descriptor there, and a copy of ours */
        const char *info, *link;
        uint32_t index;    /* of Image.files */
} FileContext;

/* One more reason why not, with who has it under which number. Returns 0. */
int files_refuse(const FileContext *context, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same for one that is known by its index. */
void files_refuse_index(Files *files, uint32_t index, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* A descriptor of ours, from a message in a socket of the process: which file it is. 1: a new one, and the descriptor belongs
 * to it; 0. */
int files_add_flying(Files *files, size_t process, int fd, uint32_t *ret);
/* save-pipes.c */
int describe_pipe(FileContext *context, ImageFile *file, const struct stat *st);
int describe_pty(FileContext *context, ImageFile *file, const struct stat *st);
/* How a terminal is set and how large it is; nothing of what is none. */
int describe_modes(FileContext *context, ImageFile *file);
/* Which of the files is the controlling terminal of whom. */
void find_terminals(Files *files);
int finish_pipes(Files *files);

/* save-outside.c: what was not opened in the sandbox: whoever restores it brings another. */
int files_outside(FileContext *context, ImageFile *file, const struct stat *st);
/* A pipe whose other end is outside; by the first of its descriptions. */
void pipe_outside(Files *files, uint32_t first);
/* When all are known. */
void find_standard_streams(Files *files);
/* Marks the pipe by which sentry-init tells its launcher of the program: the next launcher has one of its own. */
void find_status_pipe(Files *files);

/* save-ptys.c: what is on its way in them, unless there is a reason against the save. */
int finish_ptys(Files *files);

/* save-inotify.c */
int describe_inotify(FileContext *context, ImageFile *file);

/* save-sockets.c */
int sockets_list(Files *files);
int describe_socket(FileContext *context, ImageFile *file, const struct stat *st);
int finish_sockets(Files *files);
const NetSocket *find_socket(const Files *files, uint64_t ino);
/* What poll(2) says, without waiting. */
short poll_now(int fd);

int socket_get_int(int fd, int level, int name); /* 0 on an error */
/* Goes through the queues of UNIX sockets, for descriptors that nobody else has. */
int find_flying(Files *files);

/* save-queues.c */
int save_queue(Files *files, uint32_t index);
/* When it is known what all files are: refuses those that only a message has and that cannot be made again for it. */
void check_flying(Files *files);

/* save-mqueues.c */
bool is_mqueue(int fd, const struct stat *st);
int describe_mqueue(FileContext *context, ImageFile *file, const struct stat *st);
/* All of them, with what is in them, unless there is a reason against the save. */
int finish_mqueues(Files *files);

/* save-tcp.c: connections, when all sockets are known. */
int finish_tcp(Files *files);
bool endpoint_parse(const char *text, Endpoint *ret);
