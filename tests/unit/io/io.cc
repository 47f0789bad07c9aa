// SPDX-License-Identifier: MIT
#include "io.hpp"

#include <chrono>
#include <dirent.h>

bool Loop::turn_until(const std::function<bool()> &is_so)
{
    auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!is_so()) {
        if (std::chrono::steady_clock::now() > deadline)
            return false;
        turn();
    }
    return true;
}

uint32_t Loop::events_of(struct link *l)
{
    uint32_t events = 0;
    for (const Readiness &r : ready) {
        if (r.link == l)
            events |= r.events;
    }
    ready.clear();
    return events;
}

void Loop::take_ready(void *ctx, struct link *l, uint32_t events)
{
    Loop *self = static_cast<Loop *>(ctx);
    if (self->on_ready)
        self->on_ready(l, events);
    else
        self->ready.push_back({l, events});
}

void Loop::take_wake(void *ctx)
{
    static_cast<Loop *>(ctx)->wakes++;
}

void Loop::take_log(void *ctx, const struct log_event *ev)
{
    std::string line = std::string(ev->module) + ": " + ev->event;
    line += std::string(" [") + (ev->address ? ev->address : "") + "]";
    if (ev->detail)
        line += std::string(" ") + ev->detail;
    static_cast<Loop *>(ctx)->log.push_back(line);
}

struct listener_options options(const char *url)
{
    struct listener_options o = {};
    o.name = "test";
    o.url = url;
    o.inherited_fd = -1;
    return o;
}

Pair::Pair(int buffer_bytes)
{
    int fds[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    ours = fds[0];
    theirs = fds[1];
    if (buffer_bytes > 0)
        setsockopt(ours, SOL_SOCKET, SO_SNDBUF, &buffer_bytes, sizeof(buffer_bytes));
}

void Pair::close_theirs()
{
    close(theirs);
    theirs = -1;
}

Pair::~Pair()
{
    if (theirs >= 0)
        close(theirs);
}

struct address nobody()
{
    struct address a = {};
    a.sa.ss_family = AF_UNSPEC;
    return a;
}

std::string read_all(struct link *l, int64_t *last, size_t cap)
{
    std::string all;
    std::vector<uint8_t> space(cap);
    int64_t n;
    while ((n = l->ops->read(l, space.data(), cap)) > 0)
        all.append(reinterpret_cast<char *>(space.data()), static_cast<size_t>(n));
    if (last)
        *last = n;
    return all;
}

int64_t write_text(struct link *l, const std::string &text)
{
    struct bytes part = mqbx_bytes(text.data(), text.size());
    return l->ops->write(l, &part, 1);
}

void send_text(int fd, const std::string &text)
{
    ASSERT_EQ(send(fd, text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
}

std::string receive_some(int fd)
{
    std::string all;
    char space[65536];
    ssize_t n;
    while ((n = recv(fd, space, sizeof(space), 0)) > 0)
        all.append(space, static_cast<size_t>(n));
    return all;
}

Folder::Folder()
{
    const char *base = getenv("TMPDIR");
    path = std::string(base ? base : "/tmp") + "/mqb-io-XXXXXX";
    EXPECT_NE(mkdtemp(&path[0]), nullptr);
}

Folder::~Folder()
{
    DIR *dir = opendir(path.c_str());
    while (struct dirent *entry = dir ? readdir(dir) : nullptr)
        unlink(file(entry->d_name).c_str());
    if (dir)
        closedir(dir);
    rmdir(path.c_str());
}
