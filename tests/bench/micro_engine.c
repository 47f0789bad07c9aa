/* SPDX-License-Identifier: MIT */
/*
 * What the engine's data structures cost: topic index, interest masks, retained store. Prints a
 * table; decides nothing. One thread, quiet host wanted. An argument scales the counts (percent).
 *
 * Filters are one third each of s/+/+, +/s/+ and +/+/s with different words s. Bytes are what the
 * allocator gives out, its own eight bytes a block included.
 */
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/index.h"
#include "engine/interest.h"
#include "engine/retained.h"

static const struct hash_key KEY = {0x0123456789abcdefu, 0xfedcba9876543210u};

/* --- means ----------------------------------------------------------------------------------- */

static size_t live_bytes;

static size_t block_bytes(void *ptr)
{
    return ptr ? malloc_usable_size(ptr) + 8 : 0;
}

static void *counting_fn(void *arg, void *ptr, size_t old_size, size_t new_size)
{
    (void)arg;
    (void)old_size;
    live_bytes -= block_bytes(ptr);
    if (new_size == 0) {
        free(ptr);
        return NULL;
    }
    void *fresh = realloc(ptr, new_size);
    live_bytes += block_bytes(fresh);
    return fresh;
}

static const struct alloc counting = {.fn = counting_fn};

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static uint32_t draw(uint32_t below)
{
    static uint64_t x = 88172645463325252u;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return (uint32_t)((x >> 16) % below);
}

static void *need(void *ptr)
{
    if (!ptr) {
        fprintf(stderr, "out of memory\n");
        exit(1);
    }
    return ptr;
}

#define TEXT 48

struct texts {
    char (*text)[TEXT];
    struct bytes *bytes;
    uint32_t count;
};

static struct texts texts_new(uint32_t count)
{
    struct texts t = {.count = count};
    t.text = need(malloc(count * sizeof(*t.text)));
    t.bytes = need(malloc(count * sizeof(*t.bytes)));
    return t;
}

static void texts_free(struct texts *t)
{
    free(t->text);
    free(t->bytes);
}

/* --- index ----------------------------------------------------------------------------------- */

static struct texts make_filters(uint32_t count)
{
    static const char *const shapes[] = {"w%u/+/+", "+/w%u/+", "+/+/w%u"};
    struct texts f = texts_new(count);
    for (uint32_t i = 0; i < count; i++) {
        int len = i % 3 == 0   ? snprintf(f.text[i], TEXT, shapes[0], i / 3)
                  : i % 3 == 1 ? snprintf(f.text[i], TEXT, shapes[1], i / 3)
                               : snprintf(f.text[i], TEXT, shapes[2], i / 3);
        f.bytes[i] = mqbx_bytes(f.text[i], (size_t)len);
    }
    return f;
}

/* Each level is one of `words` words beginning with this letter. */
static struct texts make_topics(uint32_t count, char letter, uint32_t words)
{
    struct texts t = texts_new(count);
    for (uint32_t i = 0; i < count; i++) {
        int len = snprintf(t.text[i], TEXT, "%c%u/%c%u/%c%u", letter, draw(words), letter,
                           draw(words), letter, draw(words));
        t.bytes[i] = mqbx_bytes(t.text[i], (size_t)len);
    }
    return t;
}

static double match_ns(struct index *ix, const struct texts *topics, uint32_t rounds)
{
    uint64_t found = 0;
    struct match m;
    for (uint32_t i = 0; i < topics->count; i++)
        mqbx_index_match(ix, 0, topics->bytes[i], &m);
    double from = now_ns();
    for (uint32_t i = 0; i < rounds; i++) {
        mqbx_index_match(ix, 0, topics->bytes[i % topics->count], &m);
        found += m.count;
    }
    double took = now_ns() - from;
    if (found == UINT64_MAX)
        printf("never\n");
    return took / rounds;
}

static struct subscriber subscriber_of(const char *owners, uint32_t i)
{
    return (struct subscriber){
        .owner = (void *)(uintptr_t)&owners[i], .order = i & INT32_MAX, .qos = 1};
}

static struct index *fill(const struct texts *filters, uint32_t cache_slots, const char *owners)
{
    struct index *ix = need(mqbx_index_new(&counting, KEY, cache_slots));
    for (uint32_t i = 0; i < filters->count; i++) {
        struct subscriber s = subscriber_of(owners, i);
        if (!mqbx_index_insert(ix, 0, filters->bytes[i], &s))
            need(NULL);
    }
    return ix;
}

static void bench_index(uint32_t count)
{
    char *owners = need(malloc(count));
    struct texts filters = make_filters(count);
    struct texts hitting = make_topics(100000, 'w', count / 3);
    struct texts missing = make_topics(100000, 'x', count / 3);
    struct texts hot = make_topics(1000, 'w', count / 3);
    size_t before = live_bytes;
    double from = now_ns();
    struct index *ix = fill(&filters, 0, owners);
    double insert = (now_ns() - from) / count;
    double bytes = (double)(live_bytes - before) / count;
    double hit = match_ns(ix, &hitting, 1000000);
    double miss = match_ns(ix, &missing, 1000000);
    from = now_ns();
    for (uint32_t i = 0; i < count; i++)
        mqbx_index_remove(ix, 0, filters.bytes[i], &owners[i]);
    double removal = (now_ns() - from) / count;
    mqbx_index_free(ix);
    ix = fill(&filters, 4096, owners);
    double cached = match_ns(ix, &hot, 3000000);
    mqbx_index_free(ix);
    ix = fill(&filters, 262144, owners);
    double cached_many = match_ns(ix, &hitting, 3000000);
    mqbx_index_free(ix);
    printf("%9u  %7.0f  %7.0f  %7.0f  %9.0f  %9.0f  %9.0f  %9.0f\n", count, insert, removal, bytes,
           hit, miss, cached, cached_many);
    texts_free(&filters);
    texts_free(&hitting);
    texts_free(&missing);
    texts_free(&hot);
    free(owners);
}

static void bench_fan_out(uint32_t count)
{
    char *owners = need(malloc(count + 1));
    struct bytes all = mqbx_bytes_of("all/of/them");
    struct index *ix = need(mqbx_index_new(&counting, KEY, 4096));
    size_t before = live_bytes;
    double from = now_ns();
    for (uint32_t i = 0; i < count; i++) {
        struct subscriber s = subscriber_of(owners, i * 7919u % count);
        mqbx_index_insert(ix, 0, all, &s);
    }
    double insert = (now_ns() - from) / count;
    double bytes = (double)(live_bytes - before) / count;
    struct match m;
    from = now_ns();
    mqbx_index_match(ix, 0, all, &m);
    double first = now_ns() - from;
    struct subscriber s = subscriber_of(owners, count);
    s.order = (count / 2) & INT32_MAX;
    mqbx_index_insert(ix, 0, all, &s);
    from = now_ns();
    mqbx_index_match(ix, 0, all, &m);
    double changed = now_ns() - from;
    from = now_ns();
    for (int i = 0; i < 1000; i++)
        mqbx_index_match(ix, 0, all, &m);
    double cached = (now_ns() - from) / 1000;
    mqbx_index_remove(ix, 0, all, &owners[count]);
    from = now_ns();
    for (uint32_t i = 0; i < count; i++)
        mqbx_index_remove(ix, 0, all, &owners[i]);
    double removal = (now_ns() - from) / count;
    printf("%9u  %7.0f  %7.0f  %7.0f  %9.0f  %9.0f  %9.0f\n", count, insert, removal, bytes, cached,
           changed / 1000, first / 1000);
    mqbx_index_free(ix);
    free(owners);
}

/* --- interest -------------------------------------------------------------------------------- */

static void bench_interest(uint32_t count)
{
    struct texts filters = make_filters(count);
    struct texts topics = make_topics(100000, 'x', count / 3);
    uint32_t *slots = need(malloc(count * sizeof(*slots)));
    struct interest *t = need(mqbx_interest_new(&counting, KEY, 1u << 20));
    struct interest_counts *c = need(mqbx_interest_counts_new(&counting, t, 0));
    double from = now_ns();
    for (uint32_t i = 0; i < count; i++)
        slots[i] = mqbx_interest_raise(c, 0, filters.bytes[i]);
    double raise = (now_ns() - from) / count;
    uint64_t in_vain = 0;
    from = now_ns();
    for (uint32_t i = 0; i < 1000000; i++)
        in_vain += mqbx_interest_mask(t, 0, topics.bytes[i % topics.count]);
    double mask = (now_ns() - from) / 1e6;
    from = now_ns();
    for (uint32_t i = 0; i < count; i++)
        mqbx_interest_lower(c, slots[i]);
    double lower = (now_ns() - from) / count;
    printf("%9u  %7.0f  %7.0f  %7.0f  %8.2f%%\n", count, raise, lower, mask, (double)in_vain / 1e4);
    mqbx_interest_counts_free(c);
    mqbx_interest_free(t);
    free(slots);
    texts_free(&filters);
    texts_free(&topics);
}

/* --- retained -------------------------------------------------------------------------------- */

static double put_ns(struct retained *r, const struct texts *topics, const void *payload,
                     uint32_t len)
{
    double from = now_ns();
    for (uint32_t i = 0; i < topics->count; i++) {
        struct publication p = {.expiry_s = MSG_NEVER_EXPIRES,
                                .retain = true,
                                .topic = topics->bytes[i],
                                .payload = mqbx_bytes(payload, len)};
        uint64_t stamp;
        mqbx_retained_put(r, &p, &stamp);
    }
    return (now_ns() - from) / topics->count;
}

static double take_ns(struct retained *r, const char *filter, uint32_t *values)
{
    struct retained_cursor c = {0};
    struct msg *out[64];
    char last[TEXT];
    *values = 0;
    double from = now_ns();
    while (!c.is_done) {
        uint32_t n = mqbx_retained_take(r, 0, mqbx_bytes_of(filter), UINT64_MAX, 0, &c, out, 64);
        if (c.last.len > 0)
            memcpy(last, c.last.ptr, c.last.len);
        c.last = mqbx_bytes(last, c.last.len);
        for (uint32_t i = 0; i < n; i++)
            mqbx_msg_unref(out[i]);
        *values += n;
    }
    double took = now_ns() - from;
    return took / (*values ? *values : 1);
}

static double take_exact_ns(struct retained *r, const struct texts *topics)
{
    double from = now_ns();
    for (uint32_t i = 0; i < topics->count; i++) {
        struct retained_cursor c = {0};
        struct msg *m = NULL;
        mqbx_retained_take(r, 0, topics->bytes[i], UINT64_MAX, 0, &c, &m, 1);
        mqbx_msg_unref(m);
        mqbx_retained_cursor_fini(&c);
    }
    return (now_ns() - from) / topics->count;
}

static void bench_retained(uint32_t count)
{
    static const char payload[64] = "x";
    struct texts topics = texts_new(count);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t n = (uint32_t)((uint64_t)i * 7919u % count);
        int len = snprintf(topics.text[i], TEXT, "site/%u/dev/%u", n % 100, n);
        topics.bytes[i] = mqbx_bytes(topics.text[i], (size_t)len);
    }
    struct retained_limits none = {0, 0};
    struct retained *r = need(mqbx_retained_new(&counting, KEY, none));
    size_t before = live_bytes;
    double put = put_ns(r, &topics, payload, sizeof(payload));
    double bytes = (double)(live_bytes - before) / count;
    double again = put_ns(r, &topics, payload, sizeof(payload));
    uint32_t all, site;
    double take_all = take_ns(r, "#", &all);
    double take_site = take_ns(r, "site/7/dev/+", &site);
    double take_one = take_exact_ns(r, &topics);
    double clear = put_ns(r, &topics, NULL, 0);
    printf("%9u  %7.0f  %7.0f  %7.0f  %7.0f  %9.0f  %9.0f  %9.0f\n", count, put, again, clear,
           bytes, take_all, take_site, take_one);
    mqbx_retained_free(r);
    texts_free(&topics);
}

int main(int argc, char **argv)
{
    uint32_t scale = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 100;
    static const uint32_t counts[] = {1000, 10000, 100000, 1000000};
    printf(
        "index: ns, bytes per filter\n  filters   insert   remove    bytes  3 matches   no match  "
        "hit of 1k  hit of 100k\n");
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
        bench_index(counts[i] / 100 * scale);
    printf("\nindex, subscribers of one filter: ns, bytes; us after a change, us to sort all\n"
           "  subscr.   insert   remove    bytes        hit     change   sort all\n");
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
        bench_fan_out(counts[i] / 100 * scale);
    printf(
        "\ninterest, 2^20 slots: ns; in vain\n  filters    raise    lower     mask    in vain\n");
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
        bench_interest(counts[i] / 100 * scale);
    printf("\nretained, 64 byte payloads: ns, bytes each; take in ns per value\n"
           "   values      put  replace    clear    bytes          #    dev/+      one\n");
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
        bench_retained(counts[i] / 100 * scale);
    return 0;
}
