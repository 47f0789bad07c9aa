/* SPDX-License-Identifier: MIT */
/*
 * Sockets as the io layer wants them: close-on-exec, non-blocking, without delay. Any thread.
 */
#ifndef MQBX_IO_SOCKET_H
#define MQBX_IO_SOCKET_H

#include <stdbool.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "io/address.h"
#include "io/error.h"
#include "io/listener.h"

/* A socket that listens at the URL. A file left behind by a Unix socket that nobody listens on is
 * removed first. */
mqb_err mqbx_socket_listen(const struct listener_options *o, const struct url *u, int *out,
                           struct io_error *e);
/* A second descriptor of a socket that listens already; the first stays its owner's. */
mqb_err mqbx_socket_inherit(int fd, int *out, struct io_error *e);
/* A connected socket made ours; `peer` is of family AF_UNSPEC when it is gone already. */
mqb_err mqbx_socket_adopt(int fd, struct address *peer, struct io_error *e);
/* One waiting connection; -1 and errno. */
int mqbx_socket_accept(int fd, struct address *peer);
bool mqbx_socket_local(int fd, struct address *out);

/* The file a Unix socket is bound to. It is removed with the socket, if it is still the same file.
 */
struct socket_file {
    char *path; /* NULL: none */
    dev_t device;
    ino_t inode;
};
/* False: out of memory. */
bool mqbx_socket_file_note(const struct alloc *a, const char *path, struct socket_file *out);
void mqbx_socket_file_remove(const struct alloc *a, struct socket_file *f);

#endif
