/* SPDX-License-Identifier: MIT */
/*
 * See error.h.
 */
#include "plugin/error.h"

#include <stdarg.h>
#include <stdio.h>

mqb_err mqbx_plugin_error(struct plugin_error *e, mqb_err err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(e->text, sizeof(e->text), format, args);
    va_end(args);
    return err;
}
