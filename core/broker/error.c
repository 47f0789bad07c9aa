/* SPDX-License-Identifier: MIT */
/*
 * This thread's last error, and the words for codes. Any thread, each its own.
 */
#include "broker/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Long enough for two paths and a sentence; what is longer is cut. */
static _Thread_local char last_error[1024];

mqb_err mqbx_error(mqb_err err, const char *format, ...)
{
    /* The arguments may contain the former sentence. */
    char text[sizeof(last_error)];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    memcpy(last_error, n < 0 ? "" : text, n < 0 ? 1 : strlen(text) + 1);
    return err;
}

const char *mqbx_error_text(void)
{
    return last_error;
}

const char *mqb_last_error(void)
{
    return last_error;
}

size_t mqb_last_error_copy(char *out, size_t cap)
{
    size_t len = strlen(last_error);
    if (cap > 0) {
        size_t n = len < cap - 1 ? len : cap - 1;
        memcpy(out, last_error, n);
        out[n] = '\0';
    }
    return len;
}

const char *mqb_strerror(mqb_err err)
{
    static const char *const words[] = {
        "success",           "out of memory", "invalid argument",
        "not in this state", "no such thing", "exists already",
        "try again",         "over a limit",  "denied",
        "timed out",         "canceled",      "not supported",
        "bad configuration", "plugin failed", "TLS setting or failure",
        "storage failed",    "system error",
    };
    int64_t i = -(int64_t)err;
    if (i < 0 || i >= (int64_t)(sizeof(words) / sizeof(words[0])))
        return "unknown error";
    return words[i];
}

uint32_t mqb_version(void)
{
    return MQB_VERSION_MAJOR << 16 | MQB_VERSION_MINOR << 8 | MQB_VERSION_PATCH;
}
