/* SPDX-License-Identifier: MIT */
#include "check.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

size_t open_descriptors(void)
{
    size_t count = 0;
    DIR *dir = opendir("/proc/self/fd");
    CHECK(dir);
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

size_t scaled(size_t count)
{
    const char *percent = getenv("MQB_TEST_SCALE");
    size_t n = percent ? count * (size_t)atoi(percent) / 100 : count;
    return n > 0 ? n : 1;
}

static void wait_for(int fd, short events)
{
    struct pollfd p = {.fd = fd, .events = events};
    CHECK(poll(&p, 1, DEADLINE_MS) == 1);
}

int connect_to(uint16_t port)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0);
    CHECK(connect(fd, (struct sockaddr *)&in, sizeof(in)) == 0);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

void send_all(int fd, const void *ptr, size_t len)
{
    const char *at = ptr;
    while (len > 0) {
        ssize_t n = send(fd, at, len, MSG_NOSIGNAL);
        if (n < 0) {
            CHECK(errno == EAGAIN);
            wait_for(fd, POLLOUT);
            continue;
        }
        at += n;
        len -= (size_t)n;
    }
}

void receive_all(int fd, void *ptr, size_t len)
{
    char *at = ptr;
    while (len > 0) {
        ssize_t n = recv(fd, at, len, 0);
        if (n < 0) {
            CHECK(errno == EAGAIN);
            wait_for(fd, POLLIN);
            continue;
        }
        CHECK(n > 0);
        at += n;
        len -= (size_t)n;
    }
}

void expect_end(int fd)
{
    char waste[4096];
    for (;;) {
        ssize_t n = recv(fd, waste, sizeof(waste), 0);
        if (n == 0 || (n < 0 && errno == ECONNRESET))
            return;
        if (n < 0) {
            CHECK(errno == EAGAIN);
            wait_for(fd, POLLIN);
        }
    }
}

void wait_until(bool (*is_so)(void *arg), void *arg)
{
    uint64_t deadline = now_ms() + DEADLINE_MS;
    while (!is_so(arg)) {
        CHECK(now_ms() < deadline);
        poll(NULL, 0, 1);
    }
}
