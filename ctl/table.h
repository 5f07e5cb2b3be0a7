/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Records and how people and programs see them. One description of the columns reads the rows from a bus
 * message, prints them as a table and as JSON. */

#include <stdbool.h>
#include <stdio.h>

#include <json-c/json.h>
#include <systemd/sd-bus.h>

#include "ctl.h"

/* How a value reads to a person. JSON always has the plain value. */
typedef enum ColumnKind {
        COLUMN_TEXT,    /* escaped; an array of strings is joined by spaces */
        COLUMN_NUMBER,  /* to the right */
        COLUMN_NUMBER0, /* the same; 0 means that there is none: "-" */
        COLUMN_USER,    /* a uid: the user's name */
        COLUMN_SINCE,   /* a CLOCK_REALTIME time in µs: how long ago that is */
        COLUMN_TIME,    /* a CLOCK_REALTIME time in µs: date and time */
        COLUMN_SPAN,    /* µs */
        COLUMN_SPAN_NS, /* ns */
        COLUMN_SPAN_NS0, /* the same; 0 and less mean that there is none: "-" */
        COLUMN_SIZE,    /* bytes */
        COLUMN_STATE,   /* the state of a sandbox, coloured */
} ColumnKind;

typedef struct Column {
        const char *key;    /* in JSON; NULL: not there. The end of an array has neither key nor header */
        const char *header; /* in tables; NULL: not there */
        char type;          /* as D-Bus has it: s o u i t; 'a' for as; 'D' for a{sv}; 0: not in the message */
        ColumnKind kind;
        bool cut;           /* may be cut off at the right edge of a terminal */
        unsigned field;     /* from 1: its place in the message; 0: as it stands here */
} Column;

/* An array of objects, owned by the caller. Appends a row per struct of the array that the message stands at.
 * Columns of type 0 are taken from `common` (may be NULL). Returns 0 or a negative errno. */
int table_read(json_object *rows, const Column *columns, sd_bus_message *message, json_object *common);

/* Reads the values of columns that stand in the message one after the other into row. */
int table_read_row(json_object *row, const Column *columns, sd_bus_message *message);

/* Prints rows as the options want it. Returns 0 or CTL_FAILED after an error message. */
int table_print(const Ctl *ctl, const Column *columns, json_object *rows);

/* The same of rows that come one by one, for lists that may be very long: only what is shown of them is kept. table_begin(),
 * which the columns must outlive; table_add() for each row; table_end(), which prints. table_free() is NULL-safe. 0, or CTL_FAILED after an error message. */
typedef struct Table Table;
int table_begin(const Ctl *ctl, const Column *columns, Table **ret);
int table_add(Table *table, json_object *row);
int table_end(Table *table);
Table *table_free(Table *table);
static inline void table_freep(Table **table) { table_free(*table); }

/* Prints a table with the column of this key as a tree; parents has the index of each row's parent, or SIZE_MAX, and
 * must not have circles. */
int table_print_tree(const Ctl *ctl, const Column *columns, json_object *rows, const char *key, const size_t *parents);

/* Prints JSON: the value, with columns (may be NULL) as a list of rows that keep only what is described. */
int json_print(const Ctl *ctl, const Column *columns, json_object *value);

/* A value of a row as a person reads it; escaped. The caller frees; NULL without memory. */
char *column_format(const Column *column, json_object *value);

/* "  Label: text", aligned; the text is escaped already. */
void field_print(const char *label, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Any D-Bus value as JSON. Dictionaries become objects, variants what is in them. */
int json_from_message(sd_bus_message *message, json_object **ret);

/* Adds everything in the object `from` to another. 0 or -ENOMEM. */
int json_merge(json_object *to, json_object *from);
