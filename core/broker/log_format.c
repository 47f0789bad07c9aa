/* SPDX-License-Identifier: MIT */
/*
 * Log lines as text and as JSON. Pure.
 */
#include "broker/log_format.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "mqtt/reason.h"
#include "mqtt/utf8.h"

struct line {
    char *ptr;
    size_t len; /* at most LOG_LINE_MAX - 1 */
};

static void put(struct line *l, const char *text, size_t len)
{
    size_t room = LOG_LINE_MAX - 1 - l->len;
    if (len > room)
        len = room;
    memcpy(l->ptr + l->len, text, len);
    l->len += len;
}

__attribute__((format(printf, 2, 3))) static void print(struct line *l, const char *format, ...)
{
    char text[128];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (n > 0)
        put(l, text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1);
}

/* The length of the UTF-8 sequence at p, 0: none that may stand in a line. */
static size_t sequence_len(const uint8_t *p, size_t left)
{
    size_t len = *p < 0x80 ? 1 : *p >= 0xF0 ? 4 : *p >= 0xE0 ? 3 : 2;
    bool is_control = *p < 0x20 || *p == 0x7F || (*p == 0xC2 && left > 1 && p[1] < 0xA0);
    return !is_control && len <= left && mqbx_utf8_valid(mqbx_bytes(p, len)) ? len : 0;
}

/* In quotes, with everything that could leave them escaped. JSON knows \u00NN, people read \xNN. */
static void put_quoted(struct line *l, const void *text, size_t len, size_t max, bool json)
{
    const uint8_t *p = text;
    bool is_cut = len > max;
    len = is_cut ? max : len;
    put(l, "\"", 1);
    for (size_t i = 0; i < len;) {
        size_t n = sequence_len(p + i, len - i);
        if (n == 0)
            print(l, json ? "\\u%04x" : "\\x%02x", p[i]);
        else if (p[i] == '"' || p[i] == '\\')
            print(l, "\\%c", p[i]);
        else
            put(l, (const char *)p + i, n);
        i += n == 0 ? 1 : n;
    }
    if (is_cut)
        put(l, "...", 3);
    put(l, "\"", 1);
}

/* UTC, in ISO 8601 with milliseconds. */
static void put_time(struct line *l, uint64_t wall_ms)
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm tm;
    if (gmtime_r(&seconds, &tm) == NULL)
        memset(&tm, 0, sizeof(tm));
    print(l, "%04d-%02d-%02dT%02d:%02d:%02d.%03uZ", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
          tm.tm_hour, tm.tm_min, tm.tm_sec, (unsigned)(wall_ms % 1000));
}

static const char *level_name(enum log_level level)
{
    switch (level) {
    case LOG_ERROR:
        return "error";
    case LOG_WARN:
        return "warn";
    case LOG_INFO:
        return "info";
    default:
        return "debug";
    }
}

#define CLIENT_MAX 128
#define ADDRESS_MAX 128
#define DETAIL_MAX                                                                                 \
    600 /* escaped six-fold and with the others it still leaves the line whole enough */

static void format_text(struct line *l, const struct log_event *ev)
{
    print(l, "%s %s: %s", level_name(ev->level), ev->module, ev->event);
    if (ev->client.len > 0) {
        put(l, " client=", 8);
        put_quoted(l, ev->client.ptr, ev->client.len, CLIENT_MAX, false);
    }
    if (ev->address != NULL && *ev->address != '\0')
        print(l, " address=%s", ev->address);
    if (ev->reason >= 0)
        print(l, " reason=0x%02x (%s)", (unsigned)ev->reason,
              mqbx_reason_text((uint8_t)ev->reason));
    if (ev->detail != NULL) {
        put(l, " detail=", 8);
        put_quoted(l, ev->detail, strlen(ev->detail), DETAIL_MAX, false);
    }
}

static void put_member(struct line *l, const char *name, const void *text, size_t len, size_t max)
{
    print(l, ",\"%s\":", name);
    put_quoted(l, text, len, max, true);
}

static void format_json(struct line *l, const struct log_event *ev, uint64_t wall_ms)
{
    put(l, "{\"time\":\"", 9);
    put_time(l, wall_ms);
    print(l, "\",\"level\":\"%s\",\"module\":\"%s\",\"event\":\"%s\"", level_name(ev->level),
          ev->module, ev->event);
    if (ev->client.len > 0)
        put_member(l, "client", ev->client.ptr, ev->client.len, CLIENT_MAX / 2);
    if (ev->address != NULL && *ev->address != '\0')
        put_member(l, "address", ev->address, strlen(ev->address), ADDRESS_MAX / 2);
    if (ev->reason >= 0)
        print(l, ",\"reason\":%d,\"reason_text\":\"%s\"", ev->reason,
              mqbx_reason_text((uint8_t)ev->reason));
    /* What is left, so that the object is closed however much had to be escaped. */
    if (ev->detail != NULL) {
        size_t room = (LOG_LINE_MAX - 1 - l->len - 32) / 6;
        put_member(l, "detail", ev->detail, strlen(ev->detail),
                   room < DETAIL_MAX ? room : DETAIL_MAX);
    }
    put(l, "}", 1);
}

size_t mqbx_log_format(enum log_form form, const struct log_event *ev, uint64_t wall_ms,
                       char out[LOG_LINE_MAX])
{
    struct line l = {.ptr = out};
    if (form == LOG_JSON) {
        format_json(&l, ev, wall_ms);
    } else {
        if (form == LOG_TEXT) {
            put_time(&l, wall_ms);
            put(&l, " ", 1);
        }
        format_text(&l, ev);
    }
    out[l.len] = '\0';
    return l.len;
}
