/* SPDX-License-Identifier: MIT */
/*
 * Sentences about failures. Any thread; holds no state.
 */
#include "io/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

mqb_err mqbx_io_error(struct io_error *e, mqb_err err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(e->text, sizeof(e->text), format, args);
    va_end(args);
    return err;
}

struct io_error_name mqbx_io_strerror(int error)
{
    struct io_error_name name = {.text = "unknown error"};
#ifdef __GLIBC__
    char space[sizeof(name.text)];
    snprintf(name.text, sizeof(name.text), "%s", strerror_r(error, space, sizeof(space)));
#else
    (void)strerror_r(error, name.text, sizeof(name.text));
#endif
    return name;
}
