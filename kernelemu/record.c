/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "record.h"

typedef enum FieldKind {
        FIELD_U64 = 1,
        FIELD_I64,
        FIELD_BOOL,
        FIELD_STRING,
        FIELD_BYTES,
} FieldKind;

#define FIELD_HEADER 6U /* kind, length of the name, length of the value */

static void put_u32(uint8_t *p, uint32_t v) {
        for (unsigned i = 0; i < 4; i++)
                p[i] = (uint8_t) (v >> (8 * i));
}

static uint32_t get_u32(const uint8_t *p) {
        uint32_t v = 0;

        for (unsigned i = 0; i < 4; i++)
                v |= (uint32_t) p[i] << (8 * i);
        return v;
}

static void fail(Record *record, int error) {
        if (record->error == 0)
                record->error = error;
}

void record_init_write(Record *record) {
        *record = (Record) { .mode = RECORD_WRITE };
}

void record_init_write_at(Record *record, void *buffer, size_t size) {
        *record = (Record) { .mode = RECORD_WRITE, .data = buffer, .allocated = size, .fixed = true };
}

void record_init_read(Record *record, const void *data, size_t size) {
        /* Never written through in READ mode. */
        *record = (Record) { .mode = RECORD_READ, .data = (uint8_t *) data, .size = size };
}

void record_done(Record *record) {
        if (record->mode == RECORD_WRITE && !record->fixed)
                free(record->data);
        *record = (Record) {};
}

/* Room for n more bytes behind what is written; NULL (and the error sticks) without memory. */
static uint8_t *append(Record *record, size_t n) {
        uint8_t *p;

        if (n > record->allocated - record->size) {
                size_t want = (record->size + n) * 2;

                if (record->fixed) {
                        fail(record, -ENOBUFS);
                        return NULL;
                }
                p = realloc(record->data, want);
                if (!p) {
                        fail(record, -ENOMEM);
                        return NULL;
                }
                record->data = p;
                record->allocated = want;
        }

        p = record->data + record->size;
        record->size += n;
        return p;
}

/* Checks the header of the record at `end`, the place where the previous one ended. */
static bool read_header(const Record *record, size_t *ret_end, uint8_t *ret_version, const uint8_t **ret_name,
                        uint8_t *ret_name_length) {
        const uint8_t *p = record->data + record->end;
        size_t left = record->size - record->end;
        uint32_t length;

        if (left < 6)
                return false;
        length = get_u32(p);
        if (length < 2 || length > left - 4 || length > RECORD_MAX)
                return false;
        if (p[5] == 0 || p[5] > RECORD_NAME_MAX || p[5] > length - 2)
                return false;

        *ret_end = record->end + 4 + length;
        *ret_version = p[4];
        *ret_name = p + 6;
        *ret_name_length = p[5];
        return true;
}

bool record_peek(Record *record, char ret_type[static RECORD_NAME_MAX + 1]) {
        const uint8_t *name;
        uint8_t version, length;
        size_t end;

        if (record->mode != RECORD_READ || record->error < 0 || record->end == record->size)
                return false;
        if (!read_header(record, &end, &version, &name, &length)) {
                fail(record, -EBADMSG);
                return false;
        }

        memcpy(ret_type, name, length);
        ret_type[length] = '\0';
        return true;
}

int record_begin(Record *record, const char *type, uint8_t version) {
        size_t length = strlen(type), end;
        const uint8_t *name;
        uint8_t found, name_length, *p;

        if (record->error < 0)
                return record->error;
        if (length == 0 || length > RECORD_NAME_MAX) {
                fail(record, -EINVAL);
                return record->error;
        }

        if (record->mode == RECORD_WRITE) {
                record->start = record->size;
                p = append(record, 6 + length);
                if (!p)
                        return record->error;
                p[4] = version;
                p[5] = (uint8_t) length;
                memcpy(p + 6, type, length);
                return version;
        }

        if (!read_header(record, &end, &found, &name, &name_length) || name_length != length ||
            memcmp(name, type, length) != 0 || found > version) {
                fail(record, -EBADMSG);
                return record->error;
        }
        record->start = record->position = (size_t) (name - record->data) + length;
        record->end = end;
        return found;
}

int record_end(Record *record) {
        if (record->error < 0)
                return record->error;

        if (record->mode == RECORD_WRITE) {
                if (record->size - record->start > RECORD_MAX)
                        fail(record, -E2BIG);
                else
                        put_u32(record->data + record->start, (uint32_t) (record->size - record->start - 4));
        }
        return record->error;
}

static void write_field(Record *record, FieldKind kind, const char *name, const void *value, size_t size) {
        size_t length = strlen(name);
        uint8_t *p;

        if (length == 0 || length > RECORD_NAME_MAX || size > RECORD_MAX) {
                fail(record, -EINVAL);
                return;
        }
        p = append(record, FIELD_HEADER + length + size);
        if (!p)
                return;
        p[0] = (uint8_t) kind;
        p[1] = (uint8_t) length;
        put_u32(p + 2, (uint32_t) size);
        memcpy(p + FIELD_HEADER, name, length);
        if (size > 0)
                memcpy(p + FIELD_HEADER + length, value, size);
}

/* Finds a field. Fields nearly always come in the order they are asked for, so the search starts behind the
 * last one found and goes round once. */
static const uint8_t *find_field(Record *record, FieldKind kind, const char *name, uint32_t *ret_size) {
        size_t length = strlen(name), p = record->position;
        bool wrapped = false;

        for (;;) {
                const uint8_t *field = record->data + p;
                uint32_t size;

                if (p >= record->end) {
                        if (wrapped)
                                break;
                        wrapped = true;
                        p = record->start;
                        if (p >= record->end)
                                break;
                        continue;
                }
                if (record->end - p < FIELD_HEADER || record->end - p - FIELD_HEADER < field[1] ||
                    get_u32(field + 2) > record->end - p - FIELD_HEADER - field[1]) {
                        fail(record, -EBADMSG);
                        return NULL;
                }
                size = get_u32(field + 2);
                p += FIELD_HEADER + field[1] + size;

                if (field[1] == length && memcmp(field + FIELD_HEADER, name, length) == 0) {
                        if (field[0] != (uint8_t) kind) {
                                fail(record, -EBADMSG);
                                return NULL;
                        }
                        record->position = p;
                        *ret_size = size;
                        return field + FIELD_HEADER + length;
                }
                if (wrapped && p >= record->position)
                        break;
        }

        fail(record, -EBADMSG);
        return NULL;
}

static void number(Record *record, FieldKind kind, const char *name, uint64_t *value) {
        uint8_t raw[8];
        const uint8_t *p;
        uint32_t size;

        if (record->error < 0)
                return;

        if (record->mode == RECORD_WRITE) {
                put_u32(raw, (uint32_t) *value);
                put_u32(raw + 4, (uint32_t) (*value >> 32));
                write_field(record, kind, name, raw, sizeof(raw));
                return;
        }

        p = find_field(record, kind, name, &size);
        if (!p)
                return;
        if (size != sizeof(raw)) {
                fail(record, -EBADMSG);
                return;
        }
        *value = get_u32(p) | (uint64_t) get_u32(p + 4) << 32;
}

void record_u64(Record *record, const char *name, uint64_t *value) {
        number(record, FIELD_U64, name, value);
}

void record_i64(Record *record, const char *name, int64_t *value) {
        uint64_t v = record->mode == RECORD_WRITE ? (uint64_t) *value : 0;

        number(record, FIELD_I64, name, &v);
        *value = (int64_t) v;
}

void record_u32(Record *record, const char *name, uint32_t *value) {
        uint64_t v = record->mode == RECORD_WRITE ? *value : 0; /* what is read into may hold anything */

        number(record, FIELD_U64, name, &v);
        if (v > UINT32_MAX)
                fail(record, -EBADMSG);
        else
                *value = (uint32_t) v;
}

void record_bool(Record *record, const char *name, bool *value) {
        uint64_t v = record->mode == RECORD_WRITE ? *value : 0; /* what is read into may hold anything */

        number(record, FIELD_BOOL, name, &v);
        if (v > 1)
                fail(record, -EBADMSG);
        else
                *value = v;
}

void record_string(Record *record, const char *name, char *buffer, size_t size) {
        const uint8_t *p;
        uint32_t n;

        if (record->error < 0)
                return;

        if (record->mode == RECORD_WRITE) {
                write_field(record, FIELD_STRING, name, buffer, strnlen(buffer, size));
                return;
        }

        p = find_field(record, FIELD_STRING, name, &n);
        if (!p)
                return;
        if (n >= size || memchr(p, 0, n)) {
                fail(record, -EBADMSG);
                return;
        }
        memcpy(buffer, p, n);
        memset(buffer + n, 0, size - n);
}

void record_bytes(Record *record, const char *name, void *buffer, size_t size) {
        const uint8_t *p;
        uint32_t n;

        if (record->error < 0)
                return;

        if (record->mode == RECORD_WRITE) {
                write_field(record, FIELD_BYTES, name, buffer, size);
                return;
        }

        p = find_field(record, FIELD_BYTES, name, &n);
        if (!p)
                return;
        if (n != size) {
                fail(record, -EBADMSG);
                return;
        }
        memcpy(buffer, p, n);
}
