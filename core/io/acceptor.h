/* SPDX-License-Identifier: MIT */
/*
 * A listening socket and the loop that accepts from it. It is opened in the thread that asks for
 * it, so that the error has somewhere to go, and then polled by one worker, on whose thread
 * everything else happens.
 */
#ifndef MQBX_IO_ACCEPTOR_H
#define MQBX_IO_ACCEPTOR_H

#include "io/listener.h"
#include "io/loop.h"
#include "io/origin.h"

struct acceptor;

/* The link is the callee's. */
typedef void (*acceptor_fn)(void *ctx, struct link *l);

/* Binds and listens. At most `burst` connections are accepted in one go. MQB_EINVAL, MQB_ESYS,
 * MQB_ETLS, MQB_ENOMEM. */
mqb_err mqbx_acceptor_new(const struct alloc *a, const struct listener_options *o, uint32_t burst,
                          struct acceptor **out, struct io_error *e);
/* [loop's thread] 0 or a negative errno. */
int mqbx_acceptor_start(struct acceptor *ac, struct io_loop *loop, acceptor_fn fn, void *ctx);
/* [loop's thread, or any before the start] The socket is closed on return; the memory goes when the
 * loop has let go of it. */
void mqbx_acceptor_close(struct acceptor *ac);
/* [loop's thread] What connections are from now on; takes over the reference. */
void mqbx_acceptor_set_origin(struct acceptor *ac, struct origin *o);

/* Never changes but by set_origin. */
const struct origin *mqbx_acceptor_origin(const struct acceptor *ac);
uint16_t mqbx_acceptor_port(const struct acceptor *ac); /* 0: not IP */
bool mqbx_acceptor_is_tls(const struct acceptor *ac);

#endif
