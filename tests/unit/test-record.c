/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* kernelemu/record: what is written comes back, and nothing that is not. */

#include <errno.h>

#include "tap.h"
#include "record.h"

typedef struct Thing {
        uint64_t u64;
        int64_t i64;
        uint32_t u32;
        bool yes;
        char name[16];
        uint8_t bytes[8];
} Thing;

static int thing_record(Thing *thing, Record *record) {
        record_begin(record, "thing", 2);
        record_u64(record, "u64", &thing->u64);
        record_i64(record, "i64", &thing->i64);
        record_u32(record, "u32", &thing->u32);
        record_bool(record, "yes", &thing->yes);
        record_string(record, "name", thing->name, sizeof(thing->name));
        record_bytes(record, "bytes", thing->bytes, sizeof(thing->bytes));
        return record_end(record);
}

static Thing sample(void) {
        return (Thing) {
                .u64 = UINT64_MAX - 1,
                .i64 = INT64_MIN,
                .u32 = UINT32_MAX,
                .yes = true,
                .name = "a name",
                .bytes = { 0, 1, 0, 255 },
        };
}

static void test_round_trip(void) {
        char type[RECORD_NAME_MAX + 1];
        Thing out = sample(), in = {};
        Record writer, reader;

        record_init_write(&writer);
        is_int(thing_record(&out, &writer), 0, "a record is written");
        out.u64 = 7;
        is_int(thing_record(&out, &writer), 0, "and another behind it");

        record_init_read(&reader, writer.data, writer.size);
        ok(record_peek(&reader, type), "a record is there");
        is_str(type, "thing", "its type is told");
        is_int(thing_record(&in, &reader), 0, "it is read");
        ok(in.u64 == UINT64_MAX - 1 && in.i64 == INT64_MIN && in.u32 == UINT32_MAX && in.yes, "numbers come back");
        is_str(in.name, "a name", "strings come back");
        ok(memcmp(in.bytes, out.bytes, sizeof(in.bytes)) == 0, "bytes come back");
        is_int(thing_record(&in, &reader), 0, "the second is read");
        is_int((intmax_t) in.u64, 7, "and is the second");
        ok(!record_peek(&reader, type) && reader.error == 0, "then there is none");
        record_done(&writer);
}

/* Fields in another order, and some that the reader does not know. */
static void test_order(void) {
        uint64_t a = 1, b = 2, c = 3, x = 0, y = 0;
        Record writer, reader;

        record_init_write(&writer);
        record_begin(&writer, "t", 1);
        record_u64(&writer, "a", &a);
        record_u64(&writer, "b", &b);
        record_u64(&writer, "c", &c);
        is_int(record_end(&writer), 0, "a record with three fields");

        record_init_read(&reader, writer.data, writer.size);
        record_begin(&reader, "t", 1);
        record_u64(&reader, "c", &x);
        record_u64(&reader, "a", &y);
        ok(record_end(&reader) == 0 && x == 3 && y == 1, "is read backwards, without one of them");

        record_init_read(&reader, writer.data, writer.size);
        record_begin(&reader, "t", 1);
        record_u64(&reader, "d", &x);
        is_int(record_end(&reader), -EBADMSG, "a field that is not there is an error");

        record_init_read(&reader, writer.data, writer.size);
        record_begin(&reader, "t", 1);
        record_i64(&reader, "a", &(int64_t) { 0 });
        is_int(record_end(&reader), -EBADMSG, "so is one of another kind");

        record_init_read(&reader, writer.data, writer.size);
        is_int(record_begin(&reader, "other", 1), -EBADMSG, "and a record of another type");
        record_done(&writer);

        record_init_write(&writer);
        record_begin(&writer, "t", 3);
        is_int(record_end(&writer), 0, "a record of version 3");
        record_init_read(&reader, writer.data, writer.size);
        is_int(record_begin(&reader, "t", 2), -EBADMSG, "is not for a reader of version 2");
        record_init_read(&reader, writer.data, writer.size);
        is_int(record_begin(&reader, "t", 4), 3, "but for one of version 4, who is told");
        record_done(&writer);
}

static void test_limits(void) {
        static char big[RECORD_MAX + 1];
        char name[4] = "abc", tight[3];
        Record writer, reader;
        uint32_t n32;
        uint64_t n64 = UINT64_C(1) << 32;

        record_init_write(&writer);
        record_begin(&writer, "t", 1);
        record_string(&writer, "s", name, sizeof(name));
        record_u64(&writer, "n", &n64);
        record_end(&writer);

        record_init_read(&reader, writer.data, writer.size);
        record_begin(&reader, "t", 1);
        record_string(&reader, "s", tight, sizeof(tight));
        is_int(record_end(&reader), -EBADMSG, "a string that does not fit is an error");
        record_init_read(&reader, writer.data, writer.size);
        record_begin(&reader, "t", 1);
        record_u32(&reader, "n", &n32);
        is_int(record_end(&reader), -EBADMSG, "so is a number that does not fit");
        record_done(&writer);

        record_init_write(&writer);
        record_begin(&writer, "t", 1);
        record_bytes(&writer, "b", big, sizeof(big));
        ok(record_end(&writer) < 0, "a field over the limit is not written");
        record_done(&writer);
        record_init_write(&writer);
        ok(record_begin(&writer, "", 1) < 0, "nor a record without a type");
        record_done(&writer);
}

/* Whatever bytes there are: an error or a value, never more. The sanitizers say the rest. */
static void test_hostile(void) {
        Thing thing = sample();
        unsigned refused = 0, cuts;
        Record writer, reader;

        record_init_write(&writer);
        thing_record(&thing, &writer);

        for (cuts = 0; cuts < writer.size; cuts++) {
                uint8_t *copy = malloc(cuts + 1);

                memcpy(copy, writer.data, cuts);
                record_init_read(&reader, copy, cuts);
                if (thing_record(&thing, &reader) < 0)
                        refused++;
                free(copy);
        }
        is_int(refused, cuts, "no cut record is taken for whole");

        srandom(1);
        for (unsigned i = 0; i < 20000; i++) {
                uint8_t *copy = malloc(writer.size);
                char type[RECORD_NAME_MAX + 1];

                memcpy(copy, writer.data, writer.size);
                for (unsigned flips = 1 + (unsigned) random() % 4; flips > 0; flips--)
                        copy[(size_t) random() % writer.size] = (uint8_t) random();
                record_init_read(&reader, copy, writer.size);
                (void) record_peek(&reader, type);
                (void) thing_record(&thing, &reader);
                free(copy);
        }
        ok(true, "20,000 damaged records were survived");
        record_done(&writer);
}

int main(void) {
        test_round_trip();
        test_order();
        test_limits();
        test_hostile();
        return tap_done();
}
