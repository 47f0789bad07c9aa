/* SPDX-License-Identifier: MIT */
/*
 * What both kinds of loop need to come up.
 */
#include "io/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { NEEDED = 6 }; /* libuv's epoll set, its signal pipe and eventfd, and two of ours */

/* libuv 1.44 keeps the first descriptor of a loop when a later one cannot be had. So it is tried
 * before whether there are enough. */
static int check_descriptors(void)
{
    int fds[NEEDED];
    int count = 0;
    int err = 0;
    while (count < NEEDED && err == 0) {
        fds[count] = open("/dev/null", O_RDONLY | O_CLOEXEC);
        if (fds[count] < 0)
            err = uv_translate_sys_error(errno);
        else
            count++;
    }
    while (count > 0)
        close(fds[--count]);
    return err;
}

int mqbx_loop_init_uv(struct io_loop *loop, const struct alloc *a)
{
    int err = check_descriptors();
    if (err == 0)
        err = uv_loop_init(&loop->uv);
    if (err != 0)
        return err;
    loop->uv.data = loop;
    loop->alloc = a;
    return 0;
}
