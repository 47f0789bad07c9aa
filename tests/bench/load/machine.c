/* SPDX-License-Identifier: MIT */
/*
 * Linux: /proc for memory, the process clock of the broker for its processor time, which counts in
 * ns where /proc/PID/stat has ticks.
 */
#include "machine.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec t = {0};
    if (clock_gettime(clock, &t) != 0)
        return 0;
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t machine_now_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

/* "VmRSS:" and "VmHWM:" of /proc/PID/status are in kB. */
static void read_memory(int pid, struct usage *u)
{
    char text[256];
    snprintf(text, sizeof(text), "/proc/%d/status", pid);
    FILE *f = fopen(text, "r");
    if (!f)
        return;
    while (fgets(text, sizeof(text), f)) {
        if (strncmp(text, "VmRSS:", 6) == 0)
            u->broker_rss_kb = strtoull(text + 6, NULL, 10);
        else if (strncmp(text, "VmHWM:", 6) == 0)
            u->broker_peak_kb = strtoull(text + 6, NULL, 10);
    }
    fclose(f);
}

struct usage machine_usage(int broker_pid)
{
    struct usage u = {.own_cpu_us = (double)clock_ns(CLOCK_PROCESS_CPUTIME_ID) / 1e3};
    clockid_t clock;
    if (broker_pid > 0) {
        if (clock_getcpuclockid(broker_pid, &clock) == 0)
            u.broker_cpu_us = (double)clock_ns(clock) / 1e3;
        read_memory(broker_pid, &u);
    }
    u.at_ns = machine_now_ns();
    return u;
}

void machine_forget_peak(int broker_pid)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/clear_refs", broker_pid);
    int fd = broker_pid > 0 ? open(path, O_WRONLY | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    /* Only a finer peak is lost when this is not allowed. */
    if (write(fd, "5", 1) != 1)
        fprintf(stderr, "load: the peak is that of the whole life of the broker\n");
    close(fd);
}

static bool exchange(int from, int to)
{
    char data[64] = {0};
    return send(from, data, sizeof(data), 0) == (ssize_t)sizeof(data) &&
           recv(to, data, sizeof(data), MSG_WAITALL) == (ssize_t)sizeof(data);
}

static double exchange_us(int from, int to)
{
    for (int i = 0; i < 500; i++)
        if (!exchange(from, to))
            return 0;
    uint64_t deadline = machine_now_ns() + 40000000u;
    uint64_t began = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    uint64_t count = 0;
    do {
        for (int i = 0; i < 50; i++, count++)
            if (!exchange(from, to))
                return 0;
    } while (machine_now_ns() < deadline);
    return (double)(clock_ns(CLOCK_THREAD_CPUTIME_ID) - began) / 1e3 / (double)count;
}

double machine_calibrate(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr *any = (struct sockaddr *)&address;
    socklen_t length = sizeof(address);
    int on = 1;
    double us = 0;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int from = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener >= 0 && from >= 0 && bind(listener, any, length) == 0 &&
        listen(listener, 1) == 0 && getsockname(listener, any, &length) == 0 &&
        connect(from, any, length) == 0) {
        int to = accept(listener, NULL, NULL);
        setsockopt(from, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        if (to >= 0) {
            us = exchange_us(from, to);
            close(to);
        }
    }
    if (from >= 0)
        close(from);
    if (listener >= 0)
        close(listener);
    return us;
}
