/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Records: how an object of the emulated kernel is written down and read back. An object has one function
 * that visits its fields, and the Record it is given decides whether they are written or read; so the two can
 * never disagree. A record names its fields, which makes it readable without the object's code, and lets a
 * newer reader meet an older writer.
 *
 *     int thing_record(Thing *thing, Record *record) {
 *             record_begin(record, "thing", 1);
 *             record_u64(record, "inode", &thing->inode);
 *             record_string(record, "name", thing->name, sizeof(thing->name));
 *             return record_end(record);
 *     }
 *
 * Errors stick: after the first one every call does nothing and record_end() returns it. A record that is
 * read is hostile input.
 *
 * Layout, little-endian: u32 length of what follows, u8 version, u8 length of the type's name, the name, then
 * fields: u8 kind, u8 length of the name, u32 length of the value, name, value. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RECORD_MAX (1U << 20)  /* bytes of one record */
#define RECORD_NAME_MAX 63U

typedef enum RecordMode {
        RECORD_WRITE,
        RECORD_READ,
} RecordMode;

typedef struct Record {
        RecordMode mode;  /* immutable */
        uint8_t *data;    /* WRITE: owned, grows. WRITE into a buffer, and READ: the caller's */
        size_t size;      /* bytes in data */
        size_t allocated; /* WRITE: bytes allocated */
        bool fixed;       /* immutable; WRITE: data is a buffer of the caller's */
        size_t start;     /* where the current record's fields begin */
        size_t end;       /* READ: where the current record ends */
        size_t position;  /* READ: the field to look at first */
        int error;        /* the first error, negative, or 0 */
} Record;

void record_init_write(Record *record);
/* Writes into a buffer of the caller's; -ENOBUFS when that is full. */
void record_init_write_at(Record *record, void *buffer, size_t size);
/* data stays the caller's and must outlive the Record. */
void record_init_read(Record *record, const void *data, size_t size);
void record_done(Record *record);

/* READ: true when another record follows; its type is ret_type (at most RECORD_NAME_MAX bytes and a NUL). */
bool record_peek(Record *record, char ret_type[static RECORD_NAME_MAX + 1]);

/* Opens a record of this type. READ: -EBADMSG unless the next one is of that type and of a version up to this
 * one; returns the version found, or a negative error (which sticks). */
int record_begin(Record *record, const char *type, uint8_t version);
/* Closes it. READ: whatever fields were not asked for are skipped. Returns 0 or the error that stuck. */
int record_end(Record *record);

void record_u64(Record *record, const char *name, uint64_t *value);
void record_i64(Record *record, const char *name, int64_t *value);
void record_u32(Record *record, const char *name, uint32_t *value);
void record_bool(Record *record, const char *name, bool *value);
/* A NUL-terminated string in a buffer of a fixed size. READ: -EBADMSG when it does not fit or holds a NUL. */
void record_string(Record *record, const char *name, char *buffer, size_t size);
/* Bytes of a fixed number. */
void record_bytes(Record *record, const char *name, void *buffer, size_t size);
