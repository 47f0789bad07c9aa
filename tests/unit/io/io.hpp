// SPDX-License-Identifier: MIT
//
// core/io for C++ tests: a loop that records readiness and log lines, and pairs of sockets.
#ifndef UNIT_IO_HPP
#define UNIT_IO_HPP

#include <gtest/gtest.h>

#include <fcntl.h>
#include <functional>
#include <openssl/ssl.h>
#include <poll.h>
#include <string>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>
#include <vector>

#include "shim/base.hpp"
#include "shim/begin.hpp"

#include "io/acceptor.h"
#include "io/address.h"
#include "io/loop.h"
#include "io/origin.h"
#include "io/socket.h"
#include "io/stream.h"
#include "io/tls.h"

#include "shim/end.hpp"
#include "shim/test_alloc.h"

struct Readiness {
    struct link *link;
    uint32_t events;
};

// A loop, an allocator that finds leaks, and what came out of the loop.
class Loop
{
  public:
    struct test_alloc memory;
    struct io_loop loop;
    std::vector<Readiness> ready;
    std::vector<std::string> log;
    unsigned wakes = 0;
    std::function<void(struct link *, uint32_t)> on_ready; // in place of recording

    Loop()
    {
        test_alloc_init(&memory);
        EXPECT_EQ(mqbx_loop_init(&loop, &memory.alloc), 0);
        loop.ready = take_ready;
        loop.woken = take_wake;
        loop.log = take_log;
        loop.ctx = this;
    }
    ~Loop()
    {
        mqbx_loop_fini(&loop);
        EXPECT_EQ(test_alloc_live_blocks(&memory), 0u);
        EXPECT_TRUE(test_alloc_is_sane(&memory));
        test_alloc_fini(&memory);
    }
    const struct alloc *alloc()
    {
        return &memory.alloc;
    }
    void turn()
    {
        mqbx_loop_round(&loop, 0);
    }
    // Goes round until it is so; false when the deadline passed.
    bool turn_until(const std::function<bool()> &is_so);
    // What has been reported for a link since the last call, together.
    uint32_t events_of(struct link *l);

  private:
    static void take_ready(void *ctx, struct link *l, uint32_t events);
    static void take_wake(void *ctx);
    static void take_log(void *ctx, const struct log_event *ev);
};

struct listener_options options(const char *url);

// An origin of its own; dropped at the end.
class Origin
{
  public:
    struct origin *origin = nullptr;
    Origin(Loop &loop, const struct listener_options &o, bool is_tls = false)
    {
        struct io_error e;
        EXPECT_EQ(mqbx_origin_new(loop.alloc(), &o, is_tls, nullptr, &origin, &e), MQB_OK)
            << e.text;
    }
    ~Origin()
    {
        mqbx_origin_unref(origin);
    }
};

// Two connected non-blocking sockets; `theirs` is closed at the end unless it is -1.
struct Pair {
    int ours, theirs;
    explicit Pair(int buffer_bytes = 0);
    ~Pair();
    void close_theirs();
};

struct address nobody(); // AF_UNSPEC

std::string read_all(struct link *l, int64_t *last = nullptr, size_t cap = 4096);
int64_t write_text(struct link *l, const std::string &text);
void send_text(int fd, const std::string &text);
std::string receive_some(int fd); // what is there now

// A folder that goes away.
class Folder
{
  public:
    std::string path;
    Folder();
    ~Folder();
    std::string file(const char *name) const
    {
        return path + "/" + name;
    }
};

#endif
