/* SPDX-License-Identifier: MIT */
/*
 * One direction of a simulated connection: bytes written, of which the front part has come through
 * the network and can be read.
 */
#ifndef TEST_SIM_PIPE_H
#define TEST_SIM_PIPE_H

#include <stddef.h>
#include <stdint.h>

struct pipe {
    uint8_t *ptr;
    size_t start, len, cap; /* the bytes are ptr[start .. start + len) */
    size_t visible;         /* of these, how many can be read */
};

void pipe_fini(struct pipe *p);
void pipe_write(struct pipe *p, const void *bytes, size_t len);
/* Takes up to `len` visible bytes out; out may be NULL. */
size_t pipe_read(struct pipe *p, void *out, size_t len);
void pipe_carry(struct pipe *p, size_t len); /* makes up to so many more visible */
void pipe_truncate(struct pipe *p, size_t len);

#endif
