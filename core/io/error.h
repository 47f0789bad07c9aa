/* SPDX-License-Identifier: MIT */
/*
 * How the functions of io/ that open things say what went wrong: an error code and one sentence
 * that names the thing and the call. The sentence travels by value, because it may be written on a
 * worker's thread and told on another.
 */
#ifndef MQBX_IO_ERROR_H
#define MQBX_IO_ERROR_H

#include <mqttbroker.h>

struct io_error {
    char text[640];
};

/* Writes the sentence and answers `err`. */
mqb_err mqbx_io_error(struct io_error *e, mqb_err err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

struct io_error_name {
    char text[96];
};
/* The system's words for an errno, e.g. "Address already in use". */
struct io_error_name mqbx_io_strerror(int error);

#endif
